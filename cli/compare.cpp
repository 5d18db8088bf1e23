#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/processes.h"
#include "cli/setting_options.h"
#include "distill/settings/recipe_files.h"
#include "distill/study/choice.h"
#include "distill/study/expected_time.h"
#include "distill/study/study_run.h"
#include "distill/study/submit.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/distributed/world.h"

namespace retort {

namespace {

// One run of the study, by this process or by all that a launcher started.
int run_task(const Study& study, const std::filesystem::path& folder, int64_t task, bool quiet, bool json,
             const std::vector<std::string>& command_line) {
  const std::unique_ptr<Communicator> joined = join_world();
  Communicator* const world = joined.get();
  return on_processes(world, [&]() -> int {
    Progress progress(speaks(world) ? 2 : nowhere, quiet);
    StopSignal stop;
    Session session(progress, stop, command_line);
    session.world = world;
    const Summary summary = run_study_task(study, folder, task, session);
    progress.clear();
    if (summary.status == "stopped") {
      if (speaks(world))
        print_error(text("stopped by a signal; the same command goes on in ", folder.string()));
      return stop.exit_code();
    }
    if (!speaks(world)) return 0;
    if (json)
      print_json({{"task", task}, {"status", summary.status}, {"weights_hash", summary.weights_hash}});
    else
      print(text("task ", task, ": ", summary.status, "\n"));
    return summary.status == "diverged" ? int(Fault::diverged) : 0;
  });
}

// What a job starts this study with.
std::vector<std::string> command_of(const std::string& study, const std::filesystem::path& folder,
                                    const StudyOverrides& overrides) {
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  std::vector<std::string> words = {program.empty() ? "retort" : program.string(), "compare", study, "--out",
                                    folder.string()};
  if (overrides.seeds) words.insert(words.end(), {"--seeds", std::to_string(*overrides.seeds)});
  for (const auto& [key, value] : overrides.sets) words.insert(words.end(), {"--set", key + "=" + value});
  return words;
}

int submit_to_slurm(const StudyPlan& plan, const std::filesystem::path& folder, const SubmitOptions& options,
                    bool dry_run, bool json) {
  std::vector<SubmittedJob> jobs = write_scripts(plan, folder, options);
  if (!dry_run && !jobs.empty()) submit(folder, jobs);
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const SubmittedJob& job : jobs)
      list.push_back({{"name", job.name},
                      {"tasks", job.tasks},
                      {"job", job.job.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(job.job)}});
    print_json({{"script", jobs.empty() ? std::string() : submit_script(folder).string()}, {"jobs", list}});
    return 0;
  }
  std::string all = jobs.empty() ? "nothing is missing; --collect makes the tables\n" : "";
  for (const SubmittedJob& job : jobs)
    all += text(job.name, ": ", job.job.empty() ? std::string() : "job " + job.job + ", ",
                counted(job.tasks, "task"), "\n");
  if (!jobs.empty())
    all += text(dry_run ? "nothing was submitted; this does it: sh " : "submitted by ",
                submit_script(folder).string(), ", logs beside it\n");
  print(all);
  return 0;
}

}  // namespace

int run_compare(const Arguments& arguments) {
  Options options("compare", "run the pairs, methods and seeds of a study, print one table",
                  {"retort compare quick", "retort compare my-study.toml --seeds 3 --parallel 2",
                   "retort compare paper-table --submit slurm --sbatch --partition=gpu"});
  std::vector<std::string> names;
  std::vector<std::string> only, methods;
  std::string out;
  StudyOverrides overrides;
  StudyOptions running;
  int64_t parallel = 1;
  std::optional<int64_t> task;
  int64_t workers = 1;
  bool collect = false, dry_run = false;
  std::string submit_with;
  SubmitOptions submitting;
  bool json = false, quiet = false, example = false;
  const auto set = [&](const std::string& option, const std::string& value, const std::string& key,
                       const std::string& help) {
    options.value(option, value, help, [&overrides, key](const std::string& given) {
      overrides.sets.push_back({key, given});
    });
  };
  options.positional("STUDY",
                     "a file, or a study that comes along: quick, cifar100-small, rivals, "
                     "ablation, paper-table, example",
                     names);
  options.output("--out", "DIR", "folder (runs/NAME)", out);
  options.value("--only", "PAIR", "this pair alone", [&](const std::string& given) {
    only.push_back(given);
    submitting.choice.insert(submitting.choice.end(), {"--only", given});
  });
  options.value("--methods", "A,B", "these rows alone", [&](const std::string& given) {
    methods.push_back(given);
    submitting.choice.insert(submitting.choice.end(), {"--methods", given});
  });
  options.value("--seeds", "N", "runs of each method", [&](const std::string& given) {
    overrides.seeds = seeds_of("--seeds", integer_of("--seeds", given, 1));
  });
  set("--epochs", "N", "epochs", "of every run");
  set("--data", "SPEC", "data.spec", "synthetic, cifar100:DIR, cifar10:DIR");
  set("--device", "NAME", "device", "auto, portable, onednn, cuda");
  options.value("--set", "KEY=VALUE", "any key, of every run that has it; comes last; repeatable",
                [&](const std::string& given) { overrides.sets.push_back(key_and_value(given)); });
  options.integer("--parallel", "runs at once, here", parallel, 1);
  options.value("--task", "I", "run I of it, from 0",
                [&](const std::string& given) { task = integer_of("--task", given, 0); });
  options.flag("--collect", "tables of what is there", collect);
  options.flag("--dry-run", "say what would run, and for how long; runs nothing", dry_run);
  options.integer("--workers", "machines, of --dry-run", workers, 1);
  options.text("--submit", "slurm", "run what is missing as jobs of Slurm; with --dry-run write the scripts",
               submit_with);
  options.value("--sbatch", "ARG", "to sbatch; repeatable",
                [&](const std::string& given) { submitting.sbatch.push_back(given); });
  options.integer("--at-most", "jobs at once, 0: any", submitting.at_most, 0);
  options.flag("--force", "start anew", running.force);
  options.flag("--resume", "must be there already", running.resume);
  options.flag("--example", "print a study to edit", example);
  options.flag("--quiet", "no progress", quiet);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  if (example) {
    check(names.empty(), Fault::usage, "compare: --example prints a study to edit; it takes no STUDY");
    print(recipe_text(std::filesystem::path(carried_root) / "studies/example.toml"));
    return 0;
  }
  check(names.size() == 1, Fault::usage, "compare: ", names.size(), " studies are named, expected one STUDY");
  check(!(running.force && running.resume), Fault::usage,
        "compare: --force starts anew and --resume goes on; give one of them");
  check(!task || !(collect || running.force || running.resume || parallel > 1), Fault::usage,
        "compare: --task is one run; --collect, --force, --resume and --parallel are of whole studies");
  check(!dry_run || !(task || collect), Fault::usage,
        "compare: --dry-run is of a whole study; --task and --collect are not");
  check(dry_run || workers == 1, Fault::usage,
        "compare: --workers is for --dry-run, which says how long so many would take");
  check(!task || (only.empty() && methods.empty()), Fault::usage,
        "compare: --task is one run; --only and --methods choose among a study's");
  const bool submits = !submit_with.empty();
  check(!submits || submit_with == "slurm", Fault::usage, "compare: --submit ", submit_with,
        ", expected slurm");
  check(submits || (submitting.sbatch.empty() && submitting.at_most == 0), Fault::usage,
        "compare: --sbatch and --at-most are for --submit slurm");
  check(!submits || !(task || collect || running.force || parallel > 1), Fault::usage,
        "compare: --submit is of a whole study; --task, --collect, --force and --parallel are not for it");
  check(!collect || !(running.force || running.resume), Fault::usage,
        "compare: --collect runs nothing; --force and --resume do");
  running.parallel = int(std::min<int64_t>(parallel, 1024));

  const std::filesystem::path file = find_study(names[0]);
  Study study = read_study(file, overrides);
  choose(study, only, methods);
  const std::filesystem::path folder =
      std::filesystem::path(out.empty() ? "runs/" + file.stem().string() : out).lexically_normal();

  std::vector<std::string> command_line = {"retort", "compare"};
  command_line.insert(command_line.end(), arguments.begin(), arguments.end());
  if (task) return run_task(study, folder, *task, quiet, json, command_line);
  Progress progress(2, quiet);
  StopSignal stop;
  Session session(progress, stop, command_line);
  if (dry_run || submits) {
    const StudyPlan plan = check_study(study, folder, running, session);
    submitting.command = command_of(names[0], folder, overrides);
    if (submits && (json || !dry_run)) return submit_to_slurm(plan, folder, submitting, dry_run, json);
    const ExpectedTime expected = expected_time(plan, session, {.anew = running.force});
    progress.clear();
    print(json ? expected_json(expected, workers) : study.title + "\n\n" + expected_text(expected, workers));
    return submits ? submit_to_slurm(plan, folder, submitting, dry_run, json) : 0;
  }
  const StudyResult result =
      collect ? collect_study(study, folder, session) : run_study(study, folder, running, session);
  progress.clear();
  if (result.stopped) {
    print_error(text("stopped by a signal; the same command", running.force ? " without --force" : "",
                     " goes on in ", folder.string()));
    return stop.exit_code();
  }
  if (json) {
    print(study_json(result, folder));
  } else {
    print(study_text(result) + "\nresults: " + (folder / "results.md").string() +
          ", results.json\nruns:    " + folder.string() + "\nreport:  retort report " + folder.string() +
          "\n");
  }
  return result.exit_code;
}

}  // namespace retort
