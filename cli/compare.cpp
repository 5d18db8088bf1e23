#include <filesystem>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/study.h"
#include "engine/check.h"

namespace retort {

int run_compare(const Arguments& arguments) {
  Options options("compare", "run a teacher and the methods of a study, print one table",
                  {"retort compare distill/recipes/studies/quick.toml --out runs/quick",
                   "retort compare my-study.toml --resume"});
  std::vector<std::string> files;
  std::string out;
  int64_t seeds = 0;
  bool force = false, resume = false, json = false;
  options.positional("STUDY.toml", "the study; see distill/recipes/studies/", files);
  options.text("--out", "DIR", "the study's folder (runs/NAME)", out);
  options.integer("--seeds", "runs of each method, 0: as the study says", seeds, 0);
  options.flag("--force", "start anew in a folder that is there", force);
  options.flag("--resume", "go on in a folder that is there", resume);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(files.size() == 1, Fault::usage, "compare: ", files.size(),
        " studies are named, expected one STUDY.toml");
  check(!(force && resume), Fault::usage,
        "compare: --force starts anew and --resume goes on; give one of them");

  Study study = read_study(files[0]);
  if (seeds > 0) study.seeds = int(seeds);
  const std::filesystem::path folder =
      out.empty() ? "runs/" + std::filesystem::path(files[0]).stem().string() : out;
  check(force || resume || !std::filesystem::exists(folder), Fault::usage, folder.string(),
        ": the folder exists; --resume goes on with its runs, --force replaces them");

  std::vector<std::string> command_line = {"retort", "compare"};
  command_line.insert(command_line.end(), arguments.begin(), arguments.end());
  Progress progress;
  StopSignal stop;
  Session session(progress, stop, command_line);
  const StudyResult result = run_study(study, folder, force, session);
  progress.clear();
  if (result.stopped) {
    print_error(text("stopped by a signal; `retort compare ", files[0], " --out ", folder.string(),
                     " --resume` goes on"));
    return stop.exit_code();
  }
  if (json) {
    print(study_json(result));
  } else {
    print(study_text(result) + "\nresults: " + (folder / "results.md").string() +
          ", results.json\ncurves:  " + (folder / "curves.svg").string() + "\nruns:    " + folder.string() +
          "/LABEL/seed-K\n");
  }
  return 0;
}

}  // namespace retort
