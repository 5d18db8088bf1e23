#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/study/run_list.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const std::vector<ListedRun>& runs) {
  Json all = Json::array();
  for (const ListedRun& run : runs) {
    if (!run.problem.empty()) {
      all.push_back({{"run", run.folder.string()}, {"status", "unreadable"}, {"problem", run.problem}});
      continue;
    }
    Json one = {{"run", run.folder.string()},      {"status", run.summary.status},
                {"command", run.settings.command}, {"model", run.settings.model},
                {"teacher", run.settings.teacher}, {"method", run.settings.method.method().name},
                {"data", run.settings.data.spec},  {"seed", run.settings.seed},
                {"epochs", run.settings.epochs},   {"epochs_done", run.summary.epochs_done}};
    const auto first = [](const std::optional<EpochResult>& result) {
      return result ? Json(result->first()) : Json(nullptr);
    };
    one["metric"] = run.summary.metrics[0].name;
    one["best"] = first(run.summary.best);
    one["last"] = first(run.summary.last);
    one["seconds"] = run.summary.seconds;
    one["weights_hash"] = run.summary.weights_hash;
    if (!run.notes.empty()) one["notes"] = run.notes;
    all.push_back(std::move(one));
  }
  return {{"runs", all}};
}

std::string text_of(const std::vector<ListedRun>& runs, const std::filesystem::path& root) {
  TextTable table({"run", "network", "method", "seed", "epochs", "metric", "best", "last", "status"});
  for (const ListedRun& run : runs) {
    if (!run.problem.empty()) continue;
    const Metric& metric = run.summary.metrics[0];
    const auto first = [&](const std::optional<EpochResult>& result) {
      return result ? metric.number(result->first()) : std::string("-");
    };
    const std::string name = run.folder.lexically_relative(root).string();
    table.add_row({name == "." ? root.string() : name, run.settings.model, run.settings.method.method().name,
                   std::to_string(run.settings.seed), text(run.summary.epochs_done, "/", run.settings.epochs),
                   metric.labelled(metric.word), first(run.summary.best), first(run.summary.last),
                   run.summary.status});
  }
  return table.plain();
}

}  // namespace

int run_ls(const Arguments& arguments) {
  Options options("ls", "the runs in a folder and below: what each is, how far it came, its first metric",
                  {"retort ls", "retort ls runs/quick", "retort ls runs --json"});
  std::vector<std::string> folders;
  bool json = false;
  options.positional("DIR", "where to look (runs)", folders);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(folders.size() <= 1, Fault::usage, "ls: ", folders.size(), " folders are named, expected one DIR");
  const std::filesystem::path root = folders.empty() ? "runs" : folders[0];
  const std::vector<ListedRun> runs = list_runs(root);
  for (const ListedRun& run : runs) {
    for (const std::string& note : run.notes) print_error("note: " + note);
    if (!run.problem.empty()) print_error("note: " + run.problem);
  }
  if (json) {
    print_json(json_of(runs));
  } else if (runs.empty()) {
    print_error("note: " + root.string() + " holds no runs");
  } else {
    print(text_of(runs, root));
  }
  return 0;
}

}  // namespace retort
