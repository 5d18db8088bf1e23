#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "datasets/fetch.h"
#include "distill/mdistiller/config.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"

namespace retort {

namespace {

// The recipe alone on stdout, as a file to be: what it leaves out is said on stderr.
void print_recipe(const std::vector<std::string>& words, bool json) {
  check(words.size() == 2, Fault::usage, "data: ", words.size() - 1,
        " arguments follow recipe, expected one: a YAML config of mdistiller");
  const TranslatedConfig config = translate_mdistiller_config(words[1]);
  for (const std::string& note : config.notes) print_error(note);
  json ? print_json({{"toml", config.toml}, {"notes", config.notes}}) : print(config.toml);
}

}  // namespace

int run_data(const Arguments& arguments) {
  Options options("data", "download a data set, or translate a config of mdistiller",
                  {"retort data fetch cifar100 data", "retort data recipe kd.yaml > kd.toml"});
  std::vector<std::string> words;
  std::string url;
  bool json = false;
  options.positional("ACTION ...",
                     "fetch NAME DIR: cifar100 or cifar10; resumes a broken download. "
                     "recipe FILE: mdistiller's YAML as TOML for --config",
                     words);
  options.text("--url", "URL", "fetch: where the same archive lies as well", url);
  options.flag("--json", "result as JSON: {path}, or {toml, notes}", json);
  if (!options.parse(arguments)) return 0;
  const std::string action = words.empty() ? "" : words[0];
  check(action == "fetch" || action == "recipe", Fault::usage,
        "data: expected `retort data fetch NAME DIR` or `retort data recipe FILE`");
  if (action == "recipe") {
    print_recipe(words, json);
    return 0;
  }
  check(words.size() == 3, Fault::usage, "data: ", words.size() - 1,
        " arguments follow fetch, expected two: NAME (cifar100 or cifar10) and DIR");
  const bool hundred = words[1] == "cifar100";
  check(hundred || words[1] == "cifar10", Fault::usage, "data: '", words[1], "' is no data set to fetch; ",
        suggestion(words[1], {"cifar100", "cifar10"}));
  Archive archive = hundred ? cifar100_archive() : cifar10_archive();
  if (!url.empty()) archive.url = url;
  const std::string path = fetch(archive, words[2]).string();
  json ? print_json({{"path", path}}) : print(path + "\n");
  return 0;
}

}  // namespace retort
