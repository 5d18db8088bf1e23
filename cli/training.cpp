// retort train and retort distill: one command, but for the teacher.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/device_choice.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/processes.h"
#include "cli/run_of_weights.h"
#include "cli/setting_options.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/results.h"
#include "distill/study/runs.h"
#include "distill/study/seed_runs.h"
#include "distill/study/study_run.h"
#include "distill/text/statistics.h"
#include "distill/text/text_format.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/distributed/world.h"
#include "models/detection/detector.h"
#include "models/model.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

std::string chosen_by(const Summary& summary) {
  return summary.best_by == "test" ? "the best test epoch" : "chosen by held-out training images";
}

Json json_of(const Summary& summary, const std::string& folder) {
  Json json = {{"best", nullptr}, {"last", nullptr}, {"seconds", summary.seconds}, {"run", folder}};
  const auto add = [&](const std::string& name, const std::optional<EpochResult>& result) {
    if (!result) return;
    json[name] = result->first();
    for (size_t i = 1; i < result->values.size(); ++i)
      json[name + "_" + result->values[i].metric.name] = result->values[i].value;
    json[name + "_epoch"] = result->epoch;
  };
  add("best", summary.best);
  add("last", summary.last);
  json["best_by"] = summary.best_by;
  json["status"] = summary.status;
  json["views"] = summary.views;
  if (summary.bad_pictures > 0) json["bad_pictures"] = summary.bad_pictures;
  json["model"] = summary.model;
  json["method"] = summary.method;
  json["seed"] = summary.seed;
  json["weights_hash"] = summary.weights_hash;
  json["schema"] = 1;
  json["metrics"] = Json::parse(metrics_json(summary));
  return json;
}

std::string text_of(const Summary& summary, const std::string& folder) {
  const auto line = [&](const char* name, const EpochResult& result, const std::string& remark) {
    std::string values;
    for (const MetricValue& one : result.values)
      if (!one.metric.is_loss()) values += text(one.metric.word, " ", one.metric.shown(one.value), ", ");
    return text(name, "  ", values, "epoch ", result.epoch, remark, "\n");
  };
  std::string all;
  if (summary.best) all += line("best", *summary.best, " (" + chosen_by(summary) + ")");
  if (summary.last) all += line("last", *summary.last, "");
  if (summary.views != Summary{}.views) {
    all += text("views ", summary.views, " of ", Summary{}.views,
                " of an image: not the full recipe (data.views)\n");
  }
  return all + "time  " + duration(summary.seconds) + "\nrun   " + folder + "\n";
}

void print_one(const Summary& summary, const std::string& folder, bool json) {
  json ? print_json(json_of(summary, folder)) : print(text_of(summary, folder));
}

void print_seeds(const std::vector<Summary>& summaries, const std::string& folder, bool json) {
  ResultRow row;
  double seconds = 0;
  Json runs = Json::array();
  for (const Summary& summary : summaries) {
    row.runs.push_back({.seed = summary.seed, .status = summary.status, .summary = summary});
    seconds += summary.seconds;
    runs.push_back(json_of(summary, text(folder, "/seed-", summary.seed)));
  }
  settle(row);
  const std::vector<double> best = row.values(&Summary::best), last = row.values(&Summary::last);
  if (json) {
    print_json({{"best", mean_of(best)},
                {"last", mean_of(last)},
                {"seconds", seconds},
                {"run", folder},
                {"best_deviation", deviation_of(best)},
                {"last_deviation", deviation_of(last)},
                {"runs", runs}});
    return;
  }
  const int views = summaries.front().views;
  print(seeds_text(row) +
        (views != Summary{}.views ? text("views: ", views, " of an image (data.views)\n") : std::string()) +
        "best: " + chosen_by(summaries.front()) + "\nruns: " + folder + "\n");
}

// The next one that is free: the values of a sweep do not get in each other's way.
std::string default_folder(const RunSettings& settings, bool seeds, bool force) {
  const std::string name = "runs/" + settings.model + "-" + settings.method.method().name +
                           (seeds ? "" : "-seed" + std::to_string(settings.seed));
  if (force || holds_nothing(name)) return name;
  for (int number = 2;; ++number) {
    const std::string next = text(name, "-", number);
    if (!holds_nothing(next)) continue;
    print_error(text("note: ", name, " is taken; the run goes to ", next));
    return next;
  }
}

// A student is shown what its teacher was trained on, where nobody says otherwise; where that lies elsewhere
// now, as --data says, by the teacher's own names. Photos become images as the teacher knows them, and a
// detector's pictures are as large, which a teacher's file says too.
void take_data_of_teacher(RunSettings& settings, const SettingOptions& options, bool says) {
  if (settings.teacher.empty()) return;
  const std::string folder = weights_spec(settings.teacher).path;
  const bool run = RunFolder::is_run(folder), boxes = is_detector(settings.model);
  const std::string usual = boxes ? "scenes" : DataSettings{}.spec;
  DataSettings& data = settings.data;
  DataSettings own;
  if (run) {
    const std::string given = data.spec;
    own = placed(read_run_settings(folder), folder).data;
    const bool says_where = options.has("data.spec") || given != usual;
    data.spec = says_where ? data_elsewhere(given, own.spec) : own.spec;
    name_files(data);
    if (data.val_labels.empty()) data.val_labels = says_where ? labels_elsewhere(given, own) : own.val_labels;
    if (says && data.spec != given)
      print_error(text("note: the images are those of the teacher's run, ", data.spec, " (--data)"));
  }
  if (data.size > 0) return;
  if (boxes && !run) own.size = int(pictures_size(read_weights(settings.teacher), 0));
  if (own.size == 0) return;
  data.size = own.size;
  if (boxes) {
    if (says)
      print_error(
          text("note: of the teacher too is the pictures' shorter side, ", data.size, " (data.size)"));
    return;
  }
  if (data.test_resize == 0) data.test_resize = own.test_resize;
  if (says)
    print_error(text("note: of the teacher's run too are the images' size, ", data.size,
                     " (data.size), and the shorter side in tests, ", data.test_resize,
                     " (data.test_resize)"));
}

// What a name that stands alone was meant for.
std::string advice_on(const std::string& argument, const std::string& command) {
  const std::vector<std::string> models = model_names();
  const bool distill = command == "distill";
  if (std::find(models.begin(), models.end(), argument) != models.end())
    return text("a network is named with ", distill ? "--student " : "--model ", argument);
  if (argument.ends_with(".toml")) return "settings are read with --config " + argument;
  if (RunFolder::is_run(argument))
    return distill ? text("a run is named with --teacher ", argument, ", or --resume ", argument)
                   : "a run goes on with --resume " + argument;
  const std::string near = nearest(argument, models);
  if (!near.empty()) return text("did you mean ", distill ? "--student " : "--model ", near, "?");
  return text("see `retort ", command, " --help`");
}

ResumeOptions resume_options(const SettingOptions& settings) {
  for (const std::string& name : settings.given()) {
    const bool may = name == "--threads" || name == "--workers" || name == "--epochs" || name == "--data" ||
                     name == "--teacher";
    check(may, Fault::usage, "with --resume the settings are those of the run; ", name,
          " cannot be given; another run can start from its weights: --init RUN");
  }
  ResumeOptions options;
  if (const std::string* threads = settings.find("threads"))
    options.threads = int(integer_of("--threads", *threads, 0));
  if (const std::string* workers = settings.find("data.workers"))
    options.workers = int(integer_of("--workers", *workers, 0));
  if (const std::string* epochs = settings.find("epochs"))
    options.epochs = int(std::min<int64_t>(integer_of("--epochs", *epochs, 1), 1'000'000));
  if (const std::string* data = settings.find("data.spec")) options.data = *data;
  if (const std::string* teacher = settings.find("teacher")) options.teacher = *teacher;
  return options;
}

// options: with the command's name, summary and examples; everything else is declared here.
int run_training(Options options, const Arguments& arguments) {
  SettingOptions setting_options(options.command(), options);
  std::string out, resume;
  int64_t seeds = 1, parallel = 1;
  bool force = false, json = false, profile = false, quiet = false;
  std::string launched = "auto";
  options.integer("--seeds", "runs, one per seed", seeds, 1);
  options.integer("--parallel", "seeds at once", parallel, 1);
  options.flag("--json", "result as JSON", json);
  options.flag("--quiet", "no progress", quiet);
  options.output("--out", "DIR", "run's folder (runs/...)", out);
  options.flag("--profile", "measure 20 steps", profile);
  options.flag("--force", "replace a run in --out", force);
  options.text("--world", "off", "no mpirun, srun", launched);
  options.text("--resume", "DIR", "go on with a run", resume);
  options.stray([&](const std::string& argument) { return advice_on(argument, options.command()); });
  if (!options.parse(arguments) || setting_options.show()) return 0;

  std::vector<std::string> command_line = {"retort", options.command()};
  command_line.insert(command_line.end(), arguments.begin(), arguments.end());
  check(launched == "auto" || launched == "off", Fault::usage, "--world is '", launched,
        "', expected off or auto");
  const std::unique_ptr<Communicator> joined = launched == "off" ? nullptr : join_world();
  Communicator* const world = joined.get();
  return on_processes(world, [&]() -> int {
    Progress progress(speaks(world) ? 2 : nowhere, quiet);
    StopSignal stop;
    Session session(progress, stop, command_line);
    session.profile = profile && speaks(world);
    session.world = world;

    const bool resumes = !resume.empty();
    check(!resumes || (out.empty() && !force && seeds == 1), Fault::usage,
          "with --resume the settings are those of the run; --out, --force and --seeds cannot be given");
    const ResumeOptions resuming = resumes ? resume_options(setting_options) : ResumeOptions{};
    RunSettings settings = resumes ? RunSettings{} : setting_options.settings();
    if (!resumes) take_data_of_teacher(settings, setting_options, speaks(world));
    check_threads(resumes ? resuming.threads.value_or(0) : settings.threads);
    const bool several = resumes ? holds_seeds(resume) : seeds > 1;
    if (!resumes && !several) options.refuse({"--parallel"}, "is for several seeds; give --seeds N");
    check(!world || !profile || resolved_device(settings.device) != "cuda", Fault::usage,
          "--profile looks at steps one by one, which processes with GPUs capture together; say --world off");
    check(!world || !several, Fault::usage,
          "several processes train one run: --seeds are runs of their own, each to be "
          "started with mpirun");
    std::string folder = resumes ? resume : out;
    if (folder.empty() && speaks(world)) folder = default_folder(settings, several, force);
    if (world) folder = world->gather(folder).front();

    const int at_once = int(std::min<int64_t>(parallel, 1024));
    std::vector<Summary> summaries;
    if (several) {
      summaries = resumes ? resume_seeds(folder, resuming, session, at_once)
                          : start_seeds(settings, seeds, folder, force, session, at_once);
    } else {
      summaries = {resumes ? resume_run(folder, resuming, session)
                           : start_run(settings, folder, force, session)};
    }
    progress.clear();
    if (summaries.back().status == "stopped") {
      if (speaks(world))
        print_error(
            text("stopped by a signal; `retort ", options.command(), " --resume ", folder, "` goes on"));
      return stop.exit_code();
    }
    if (!speaks(world)) return 0;
    several ? print_seeds(summaries, folder, json) : print_one(summaries[0], folder, json);
    const auto diverged = [](const Summary& summary) { return summary.status == "diverged"; };
    return std::any_of(summaries.begin(), summaries.end(), diverged) ? int(Fault::diverged) : 0;
  });
}

}  // namespace

int run_train(const Arguments& arguments) {
  return run_training({"train",
                       "train a network with labels alone",
                       {"retort train --model resnet20 --epochs 10 --out runs/teacher",
                        "retort train --model resnet56 --data cifar100:data --seeds 3",
                        "retort train --resume runs/teacher"}},
                      arguments);
}

int run_distill(const Arguments& arguments) {
  return run_training({"distill",
                       "train a student with the help of a teacher",
                       {"retort distill --teacher runs/teacher --student resnet8 --epochs 10"}},
                      arguments);
}

}  // namespace retort
