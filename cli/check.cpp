#include "distill/study/check.h"

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/study/check_cache.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"

namespace retort {

namespace {

nlohmann::ordered_json json_of(const CheckResult& result) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const CheckedFile& file : result.files) {
    files.push_back({{"path", file.path.string()},
                     {"status", name_of(file.status)},
                     {"reason", file.reason},
                     {"remedy", file.remedy}});
  }
  return {{"kind", result.kind}, {"files", files}, {"ok", result.ok()}};
}

// What does not hold, each with its remedy; then the count.
std::string text_of(const CheckResult& result) {
  std::string all;
  size_t unbound = 0, wrong = 0;
  for (const CheckedFile& file : result.files) {
    if (file.status == CheckedFile::Status::ok) continue;
    if (file.status == CheckedFile::Status::unbound) {
      ++unbound;
      continue;
    }
    ++wrong;
    all += text(name_of(file.status), "  ", file.path.string(), ": ", file.reason, "\n");
    if (!file.remedy.empty()) all += "         " + file.remedy + "\n";
  }
  return all + text(result.kind, ": ", result.files.size(), result.files.size() == 1 ? " file, " : " files, ",
                    result.files.size() - unbound - wrong, " hold, ", wrong, " do not",
                    unbound > 0 ? text(", ", unbound, " unbound: no hash would show damage") : std::string(),
                    "\n");
}

}  // namespace

int run_check(const Arguments& arguments) {
  Options options(
      "check", "every hash of a run, a study, the cache or a file of weights, and what is missing",
      {"retort check runs/pcd", "retort check student.safetensors --json", "retort check --cache"});
  std::vector<std::string> names;
  bool cache = false, json = false;
  options.positional("DIR|FILE", "a run, a folder of runs or a study, a report, weights, .retort, .onnx",
                     names);
  options.flag("--cache", "the cache folder (DIR, or RETORT_CACHE, or ~/.cache/retort)", cache);
  options.flag("--json", "result as JSON: {kind, files: [{path, status, reason, remedy}], ok}", json);
  if (!options.parse(arguments)) return 0;
  check(names.size() == 1 || (cache && names.empty()), Fault::usage, "check: ", names.size(),
        " paths are named, expected one DIR or FILE");
  const CheckResult result =
      cache ? check_cache(names.empty() ? cache_folder() : std::filesystem::path(names[0]))
            : check_path(names[0]);
  json ? print_json(json_of(result)) : print(text_of(result));
  return result.ok() ? 0 : int(Fault::verification);
}

}  // namespace retort
