#include "distill/study/expected_time.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "distill/run/named_weights.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/recorded_run.h"
#include "distill/teacher/stored_teacher.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "distill/train/assembly.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr int files_of_a_run = 3;                  // last, previous, best
constexpr double brief_kind = 1, brief_all = 120;  // seconds

// For logits that nobody keeps.
class Scratch {
 public:
  Scratch() {
    std::error_code error;
    path_ = fs::temp_directory_path(error);
    check(!error, Fault::usage, "TMPDIR, the folder for temporary files: ", error.message());
    path_ /= text("retort-measure-", ::getpid());
    remove();
  }
  ~Scratch() { remove(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const fs::path& path() const { return path_; }

  void remove() const {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

 private:
  fs::path path_;
};

// What a step's time does not depend on is the same in all.
std::string kind_key(RunSettings settings) {
  const RunSettings usual;
  settings.seed = usual.seed;
  settings.epochs = usual.epochs;
  const int64_t every = settings.schedule.evaluate_every;
  settings.schedule = usual.schedule;
  settings.schedule.evaluate_every = every;
  settings.optimizer.lr = usual.optimizer.lr;
  settings.optimizer.momentum = usual.optimizer.momentum;
  settings.optimizer.weight_decay = usual.optimizer.weight_decay;
  settings.teacher.clear();
  return settings_toml(settings);
}

// Of a run that may have begun.
int epochs_left(const PlannedRun& run, bool anew) {
  if (anew) return run.settings.epochs;
  if (settled_result(run.folder)) return 0;
  try {
    const RecordedRun recorded = read_recorded_run(run.folder);
    return run.settings.epochs - (recorded.summary ? recorded.summary->epochs_done : 0);
  } catch (const Error&) {  // it is not there yet
    return run.settings.epochs;
  }
}

class Measurement {
 public:
  Measurement(const RunSettings& settings, Session& session, const MeasureOptions& options)
      : session_(session),
        options_(options),
        run_(settings, session.data(settings), silent_, {.goes_on = true, .untrained_teacher = true}) {}

  void fill(KindOfRun& kind) {
    kind.batches = run_.task->batches();
    int64_t steps = options_.steps;
    if (options_.brief) steps = std::clamp<int64_t>(kind.epochs * kind.batches / 100, 1, steps);
    kind.step = kind.stored_step = seconds_of(steps);
    if (run_.teacher && run_.teacher->stored()) {
      kind.stored_step = std::min(kind.step, seconds_of(steps));  // the same batches again
      kind.classes = run_.teacher->model().classes;
      kind.images = run_.task->images();
    }
    kind.test = seconds_of_test();
    kind.checkpoint_bytes = checkpoint_bytes();
    kind.measured = true;
  }

 private:
  void step() {
    if (const int signal = session_.stop.received()) throw Stopped(signal);
    if (batch_ == run_.task->batches()) begin_epoch(epoch_ + 1);
    run_.average->begin_step((epoch_ - 1) * run_.task->batches() + batch_);
    run_.task->step();
    ++batch_;
  }

  void begin_epoch(int epoch) {
    epoch_ = epoch;
    batch_ = 0;
    run_.optimizer->set_learning_rate(0);  // nothing is to be learned
    run_.distiller->begin_epoch(epoch);
    run_.task->begin_epoch(epoch, 0);
  }

  // Of one of the run's first steps, behind those in which a device learns to replay it.
  double seconds_of(int64_t steps) {
    begin_epoch(1);
    for (int i = 0; i < (run_.settings.device == "cuda" ? 3 : 1); ++i) step();
    run_.task->totals().read();  // waits
    const double began = steady_seconds();
    int64_t done = 0;
    while (done < steps && !(options_.brief && done > 0 && steady_seconds() - began > brief_kind)) {
      step();
      ++done;
    }
    run_.task->totals().read();
    return (steady_seconds() - began) / double(done);
  }

  // A test is long: after some of its batches it is left.
  double seconds_of_test() {
    struct Enough {};
    const int64_t most = options_.brief ? 2 : options_.steps;
    double began = steady_seconds(), seconds = 0;
    int64_t first = 0;
    try {
      run_.task->test([&](int64_t done, int64_t total) {
        const double now = steady_seconds();
        seconds = (now - began) / double(done - first) * double(total);
        if (done >= total || done - first >= most) throw Enough();
        if (first > 0) return;
        first = done;  // it warms up
        began = now;
      });
    } catch (const Enough&) {
    } catch (const Error& error) {
      if (error.fault() != Fault::diverged) throw;  // with random weights it may
    }
    const double others =
        double(run_.settings.data.validation) / double(std::max<int64_t>(run_.data.test.size(), 1));
    return seconds * (1 + others);
  }

  uint64_t checkpoint_bytes() {
    uint64_t bytes = 0;
    Module* const modules[] = {run_.student.get(), run_.distiller.get()};
    for (Module* module : modules)
      for (const HostTensor& t : state_of(*module, *run_.device)) bytes += t.data.size();
    for (const auto& [name, momentum] : optimizer_state(*run_.optimizer, run_.average.get()))
      bytes += uint64_t(momentum.bytes());
    return bytes;
  }

  Session& session_;
  const MeasureOptions& options_;
  Progress silent_{-1, true};
  Assembly run_;
  int epoch_ = 1;
  int64_t batch_ = 0;
};

// The runs that share a teacher's stored logits.
struct SharedLogits {
  std::map<uint64_t, int> all, done;  // most epochs of a seed
  double left = 0;                    // epochs of all runs together
  int views = 1;
  bool ahead = false;  // all are computed before the first step

  // Epochs' worth of logits that so many epochs meet.
  double met(const std::map<uint64_t, int>& seeds) const {
    int epochs = 0;
    for (const auto& [seed, most] : seeds) epochs += most;
    if (epochs == 0) return 0;
    return ahead ? views : epochs * (1 - expected_reuse(epochs, views));
  }
  double fresh() const { return met(all) - met(done); }
};

class Expectation {
 public:
  Expectation(const StudyPlan& plan, Session& session, const MeasureOptions& options)
      : plan_(plan), session_(session), options_(options) {}

  ExpectedTime make() {
    for (size_t i = 0; i < plan_.runs.size(); ++i) count(i);
    measure();
    add_up();
    return std::move(all_);
  }

 private:
  // The settings it is measured with: the teacher's network is named.
  RunSettings settings_of(const PlannedRun& run) {
    RunSettings settings = run.settings;
    if (!settings.method.method().reads.teacher) return settings;
    if (run.teacher != no_run) {
      settings.teacher_model = plan_.runs[run.teacher].settings.model;
    } else {
      std::string& known = given_[settings.teacher];
      if (known.empty()) known = architecture_of(read_weights(settings.teacher), settings.teacher_model);
      settings.teacher_model = known;
    }
    return settings;
  }

  void count(size_t i) {
    const PlannedRun& run = plan_.runs[i];
    const RunSettings settings = run.chosen ? settings_of(run) : run.settings;
    const auto [at, is_new] = kinds_.try_emplace(kind_key(settings), all_.kinds.size());
    if (is_new) {
      all_.kinds.push_back({.name = run.name.substr(0, run.name.rfind(", seed "))});
      settings_.push_back(settings);
    }
    KindOfRun& kind = all_.kinds[at->second];
    const int left = run.chosen ? epochs_left(run, options_.anew) : 0;
    kind_of_.push_back(at->second);
    left_.push_back(left);
    kind.runs += left > 0;
    kind.epochs += left;
    all_.runs += left > 0;
    all_.epochs += left;
    if (settings.teacher_source != "table") return;
    SharedLogits& shared = shared_[settings.teacher];
    const auto more = [&](std::map<uint64_t, int>& epochs, int count) {
      epochs[settings.seed] = std::max(epochs[settings.seed], count);
    };
    more(shared.all, settings.epochs);
    more(shared.done, settings.epochs - left);
    shared.left += left;
    shared.views = views_of(settings.data);
  }

  void measure() {
    const Scratch scratch;
    const double began = steady_seconds();
    for (size_t i = 0; i < all_.kinds.size(); ++i) {
      KindOfRun& kind = all_.kinds[i];
      session_.progress.activity("measuring steps", int64_t(i), int64_t(all_.kinds.size()));
      if (kind.runs == 0) continue;
      if (options_.brief && steady_seconds() - began > brief_all) return;
      RunSettings settings = settings_[i];
      settings.teacher_table.folder = scratch.path().string();
      try {
        resolve(settings);
        Measurement(settings, session_, options_).fill(kind);
      } catch (const Error&) {
        if (!options_.brief) throw;  // the run will say it
      }
      scratch.remove();
    }
  }

  void add_up() {
    std::vector<double> seconds(plan_.runs.size());
    for (size_t i = 0; i < plan_.runs.size(); ++i) {
      const RunSettings& settings = plan_.runs[i].settings;
      KindOfRun& kind = all_.kinds[kind_of_[i]];
      if (left_[i] > 0) all_.checkpoint_bytes += files_of_a_run * kind.checkpoint_bytes;
      double fresh = 1;  // share of the logits that are computed
      if (const auto shared = shared_.find(settings.teacher); kind.images > 0 && shared != shared_.end()) {
        const std::string& fill = settings.teacher_table.fill;
        shared->second.ahead =
            fill == "ahead" || (fill == "auto" && resolved_device(settings.device) == "cuda");
        if (shared->second.left > 0) fresh = shared->second.fresh() / shared->second.left;
        if (!logit_kinds_.contains(settings.teacher)) logit_kinds_[settings.teacher] = kind_of_[i];
      }
      const double step = kind.stored_step + fresh * (kind.step - kind.stored_step);
      seconds[i] = left_[i] * (double(kind.batches) * step + kind.test);
      kind.seconds += seconds[i];
      all_.seconds += seconds[i];
    }
    for (const auto& [teacher, kind] : logit_kinds_) {
      const KindOfRun& of = all_.kinds[kind];
      const LogitStore::Shape shape{
          of.images, of.classes,
          settings_[kind].teacher_table.precision == "f16" ? LogitPrecision::f16 : LogitPrecision::f32};
      const SharedLogits& shared = shared_.at(teacher);
      all_.logit_bytes += shape.bytes(int64_t(shared.met(shared.all) * double(of.images)));
    }
    const std::vector<size_t> order = plan_.tasks();
    for (const size_t run : order) {
      const auto teacher = std::find(order.begin(), order.end(), plan_.runs[run].teacher);
      all_.tasks.push_back({seconds[run], teacher == order.end() ? no_run : size_t(teacher - order.begin())});
    }
  }

  const StudyPlan& plan_;
  Session& session_;
  const MeasureOptions& options_;
  ExpectedTime all_;
  std::map<std::string, size_t> kinds_;
  std::vector<RunSettings> settings_;           // by kind
  std::vector<size_t> kind_of_;                 // by run
  std::vector<int> left_;                       // epochs, by run
  std::map<std::string, std::string> given_;    // networks of teachers that are there
  std::map<std::string, SharedLogits> shared_;  // by teacher
  std::map<std::string, size_t> logit_kinds_;   // a kind that stores its logits
};

std::string bytes_text(uint64_t bytes) {
  const double mega = double(bytes) / 1e6;
  return mega < 1000 ? significant(std::max(mega, 0.1), mega < 100 ? 2 : 3) + " MB"
                     : significant(mega / 1e3, 3) + " GB";
}

}  // namespace

int64_t ExpectedTime::unmeasured() const {
  int64_t count = 0;
  for (const KindOfRun& kind : kinds) count += kind.measured ? 0 : kind.runs;
  return count;
}

double ExpectedTime::on(int64_t workers) const {
  std::multiset<double> free_at;
  for (int64_t i = 0; i < std::min(workers, int64_t(tasks.size())); ++i) free_at.insert(0);
  std::vector<double> ended;
  double last = 0;
  for (const Task& task : tasks) {
    double began = *free_at.begin();
    free_at.erase(free_at.begin());
    if (task.teacher != no_run) began = std::max(began, ended[task.teacher]);
    ended.push_back(began + task.seconds);
    free_at.insert(ended.back());
    last = std::max(last, ended.back());
  }
  return last;
}

ExpectedTime expected_time(const StudyPlan& plan, Session& session, const MeasureOptions& options) {
  return Expectation(plan, session, options).make();
}

std::string expected_line(const ExpectedTime& expected) {
  const int64_t unknown = expected.unmeasured();
  return text(counted(expected.runs, "run"), ", ", with_commas(expected.epochs),
              " epochs: ", unknown > 0 ? "more than " : "about ", rough_duration(expected.seconds),
              " here, one run after the other",
              unknown > 0 ? text("; ", unknown, " of them could not be measured in time") : std::string());
}

std::string expected_text(const ExpectedTime& expected, int64_t workers) {
  TextTable table({"", "runs", "epochs", "steps", "ms a step", "stored", "s a test", "in all"});
  for (const KindOfRun& kind : expected.kinds) {
    const bool stored = kind.images > 0;
    table.add_row({kind.name, std::to_string(kind.runs), std::to_string(kind.epochs),
                   with_commas(kind.epochs * kind.batches),
                   kind.measured ? significant(1000 * kind.step, 3) : "-",
                   stored ? significant(1000 * kind.stored_step, 3) : "-",
                   kind.measured ? significant(kind.test, 3) : "-",
                   kind.measured ? rough_duration(kind.seconds) : "-"});
  }
  std::string all = table.plain() + "\n" + expected_line(expected) + "\n";
  if (workers > 1)
    all += text("on ", workers, " workers like this machine, a run each at a time: about ",
                rough_duration(expected.on(workers)), "\n");
  return all +
         text("disk: ", bytes_text(expected.checkpoint_bytes), " of checkpoints",
              expected.logit_bytes > 0
                  ? text(", ", bytes_text(expected.logit_bytes), " of stored logits, in the cache")
                  : std::string(),
              "\nA step with \"stored\" finds the teacher's logits of another run or epoch. What a run does "
              "before its first step is not counted.\n");
}

std::string expected_json(const ExpectedTime& expected, int64_t workers) {
  using Json = nlohmann::ordered_json;
  Json kinds = Json::array();
  for (const KindOfRun& kind : expected.kinds)
    kinds.push_back({{"name", kind.name},
                     {"runs", kind.runs},
                     {"epochs", kind.epochs},
                     {"steps", kind.epochs * kind.batches},
                     {"seconds_per_step", kind.step},
                     {"seconds_per_stored_step", kind.stored_step},
                     {"seconds_per_test", kind.test},
                     {"seconds", kind.seconds}});
  const Json all = {{"schema", 1},
                    {"runs", expected.runs},
                    {"epochs", expected.epochs},
                    {"kinds", kinds},
                    {"seconds", expected.seconds},
                    {"workers", workers},
                    {"seconds_on_workers", expected.on(workers)},
                    {"checkpoint_bytes", expected.checkpoint_bytes},
                    {"logit_bytes", expected.logit_bytes}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace retort
