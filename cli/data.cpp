#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "datasets/fetch.h"
#include "engine/check.h"
#include "engine/nearest.h"

namespace retort {

int run_data(const Arguments& arguments) {
  Options options("data", "download a data set's official archive, check and unpack it",
                  {"retort data fetch cifar100 data", "retort data fetch cifar10 data"});
  std::vector<std::string> words;
  bool json = false;
  options.positional("fetch NAME DIR", "NAME: cifar100, cifar10; resumes a broken download", words);
  options.flag("--json", "result as JSON: {path}", json);
  if (!options.parse(arguments)) return 0;
  check(!words.empty() && words[0] == "fetch", Fault::usage, "data: expected `retort data fetch NAME DIR`");
  check(words.size() == 3, Fault::usage, "data: ", words.size() - 1,
        " arguments follow fetch, expected two: NAME (cifar100 or cifar10) and DIR");
  const bool hundred = words[1] == "cifar100";
  check(hundred || words[1] == "cifar10", Fault::usage, "data: '", words[1],
        "' is no data set to fetch; did you mean '", nearest(words[1], {"cifar100", "cifar10"}), "'?");
  const std::string path = fetch(hundred ? cifar100_archive() : cifar10_archive(), words[2]).string();
  json ? print_json({{"path", path}}) : print(path + "\n");
  return 0;
}

}  // namespace retort
