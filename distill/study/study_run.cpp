#include "distill/study/study_run.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <thread>

#include "distill/methods/loss_probe.h"
#include "distill/run/curves_svg.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/folder_lock.h"
#include "distill/study/recorded_run.h"
#include "distill/study/study_progress.h"
#include "distill/teacher/stored_teacher.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr size_t none = size_t(-1);

struct Job {
  std::string name, kind;  // for people; and for estimates of time
  RunSettings settings;
  fs::path folder;
  size_t teacher = none;  // the job that has to be finished before
  bool started = false, done = false;
  ResultRun run;
  int fault = 0;
};

// Where a pair's results come from.
struct PairJobs {
  size_t teacher = none;
  std::vector<std::vector<size_t>> rows;  // jobs by method and seed
};

bool reads_teacher(const RunSettings& settings) {
  return settings.method.method().reads.teacher;
}

class Queue {
 public:
  Queue(const Study& study, const fs::path& folder, const StudyOptions& options, Session& session)
      : study_(study), folder_(folder), options_(options), session_(session) {
    plan();
  }

  void check_all();
  StudyResult run();
  Summary run_task(int64_t task);
  StudyResult collect();

 private:
  void plan();
  size_t add(const fs::path& folder, const RunSettings& settings, const std::string& name);
  size_t add_teacher(const StudyPair& pair);
  fs::path folder_of(const StudyPair& pair, const StudyMethod& method, const RunSettings& settings) const;
  void check_folder() const;

  void work(Session& session, StudyProgress& progress);
  std::vector<size_t> tasks() const;
  Job* next();
  void run_job(Job& job, Session& session, StudyProgress& progress);
  void attempt(Job& job, const std::optional<Summary>& settled, Session& session) const;
  std::optional<Summary> settled(const Job& job) const;

  StudyResult result() const;
  void write_tables() const;
  void write_curves(const StudyResult& result) const;

  const Study& study_;
  const fs::path folder_;
  const StudyOptions options_;
  Session& session_;
  std::vector<Job> jobs_;
  std::map<fs::path, size_t> by_folder_;
  std::vector<PairJobs> pairs_;
  std::vector<std::string> given_models_;  // of teachers that are there, by pair

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t running_ = 0;
  bool stopped_ = false;
};

size_t Queue::add(const fs::path& folder, const RunSettings& settings, const std::string& name) {
  const auto [at, is_new] = by_folder_.try_emplace(folder, jobs_.size());
  if (!is_new) return at->second;
  Job job{.name = name,
          .kind = settings.model + ", " + settings.method.method().name,
          .settings = settings,
          .folder = folder,
          .run = {.seed = settings.seed, .folder = folder}};
  jobs_.push_back(std::move(job));
  return at->second;
}

size_t Queue::add_teacher(const StudyPair& pair) {
  const fs::path place = study_.nested ? folder_ / "teachers" / pair.teacher.model : folder_ / "teacher";
  check(!pair.teacher.model.empty(), Fault::usage, study_.title,
        ": a method needs a teacher; expected [teacher] with model = \"NAME\" or weights = \"RUN or FILE\"");
  const size_t job = add(place, pair.teacher, "teacher " + pair.teacher.model);
  check(settings_toml(jobs_[job].settings) == settings_toml(pair.teacher), Fault::usage, study_.title,
        ": the teacher ", pair.teacher.model,
        " would be trained in two ways; a study has one of each network");
  return job;
}

// A student that reads no teacher is the same for all its teachers, and trained once.
fs::path Queue::folder_of(const StudyPair& pair, const StudyMethod& method,
                          const RunSettings& settings) const {
  const fs::path own = fs::path(method.label) / text("seed-", settings.seed);
  if (!study_.nested || reads_teacher(settings)) return folder_ / pair.place / own;
  const fs::path variant = fs::path(pair.place).lexically_relative(*pair.place.begin());
  const fs::path shared =
      (folder_ / "students" / settings.model / (variant == "." ? fs::path() : variant) / own)
          .lexically_normal();
  const auto known = by_folder_.find(shared);
  const bool fits =
      known == by_folder_.end() || settings_toml(jobs_[known->second].settings) == settings_toml(settings);
  return fits ? shared : folder_ / pair.place / own;
}

void Queue::plan() {
  for (const StudyPair& pair : study_.pairs) {
    pairs_.push_back({});
    pairs_.back().rows.resize(pair.methods.size());
    given_models_.push_back(pair.teacher_weights.empty() ? "" : pair.teacher.model);
  }
  for (int seed = 0; seed < study_.seeds; ++seed) {
    for (size_t p = 0; p < study_.pairs.size(); ++p) {
      const StudyPair& pair = study_.pairs[p];
      for (size_t m = 0; m < pair.methods.size(); ++m) {
        const StudyMethod& method = pair.methods[m];
        RunSettings settings = method.settings;
        settings.seed += uint64_t(seed);
        const bool reads = reads_teacher(settings);
        if (reads && pair.teacher_weights.empty()) {
          pairs_[p].teacher = add_teacher(pair);
          settings.teacher = jobs_[pairs_[p].teacher].folder.string();
        } else if (reads) {
          settings.teacher = pair.teacher_weights;
          settings.teacher_model = pair.teacher.model;
        }
        // Its runs share the teacher.
        if (reads && settings.teacher_source == "auto" && table_refusal(settings).empty())
          settings.teacher_source = "table";
        const std::string name =
            text(study_.nested ? pair.name : settings.model, ", ", method.label, ", seed ", settings.seed);
        const size_t job = add(folder_of(pair, method, settings), settings, name);
        if (reads) jobs_[job].teacher = pairs_[p].teacher;
        pairs_[p].rows[m].push_back(job);
      }
    }
  }
}

// A folder that holds something, but nothing of this study, is somebody's.
void Queue::check_folder() const {
  std::error_code ignored;
  if (!fs::exists(folder_, ignored)) {
    check(!options_.resume, Fault::input, folder_.string(), ": there is no such folder to resume");
    return;
  }
  check(fs::is_directory(folder_, ignored), Fault::usage, folder_.string(),
        ": is not a folder, expected a study's");
  const bool ours =
      fs::is_empty(folder_, ignored) || fs::exists(folder_ / "study.lock", ignored) ||
      fs::exists(folder_ / "results.json", ignored) ||
      std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return RunFolder::is_run(job.folder); });
  check(ours && !RunFolder::is_run(folder_), Fault::usage, folder_.string(),
        ": is not empty and no study's folder; name another one with --out");
}

// What can be refused is refused now, not after the hours of the runs before it.
void Queue::check_all() {
  check_folder();
  const std::string& data = jobs_.front().settings.data.spec;
  for (const Job& job : jobs_) {
    check(job.settings.data.spec == data, Fault::usage, study_.title, ": ", job.name, " has data '",
          job.settings.data.spec, "', others have '", data, "'; a study compares on one data set");
    if (!options_.force) check_same_run(job.settings, job.folder, session_);
    RunSettings copy = job.settings;
    resolve(copy);
  }
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    const StudyPair& pair = study_.pairs[p];
    if (pair.teacher_weights.empty()) continue;
    const Weights weights = read_weights(pair.teacher_weights);
    if (given_models_[p].empty()) given_models_[p] = weights.architecture;
  }
  const int64_t classes = session_.data(jobs_.front().settings).train.classes;
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    for (size_t m = 0; m < study_.pairs[p].methods.size(); ++m) {
      RunSettings settings = jobs_[pairs_[p].rows[m].front()].settings;
      if (reads_teacher(settings) && pairs_[p].teacher != none)
        check_method(settings.method, classes);  // its teacher is not there yet
      else
        prepare_run(settings, session_);
    }
  }
}

// The first run in the order of the study whose teacher is there; waits where one is only being trained.
Job* Queue::next() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stopped_ || session_.stop.received()) return nullptr;
    bool any = false;
    for (Job& job : jobs_) {
      if (job.started) continue;
      any = true;
      if (job.teacher != none && !jobs_[job.teacher].done) continue;
      job.started = true;
      ++running_;
      return &job;
    }
    if (!any || running_ == 0) return nullptr;
    changed_.wait(lock);
  }
}

// Its result, where there is nothing left to do for it.
std::optional<Summary> Queue::settled(const Job& job) const {
  const fs::path file = job.folder / "summary.json";
  if (options_.force || !RunFolder::is_run(job.folder) || !fs::exists(file)) return std::nullopt;
  try {
    const Summary summary = read_recorded_run(job.folder).summary.value();
    if (summary.status == "finished" || summary.status == "diverged") return summary;
  } catch (const Error&) {
    // The attempt says what is wrong.
  }
  return std::nullopt;
}

// A run's result is what its summary says.
void take_result(Job& job, const Summary& summary) {
  job.run.summary = summary;
  job.run.status = summary.status;
  if (summary.status != "diverged") return;
  job.run.problem = "the loss was not finite, see log.txt";
  job.fault = int(Fault::diverged);
}

// Runs it; what goes wrong is its result.
void Queue::attempt(Job& job, const std::optional<Summary>& settled, Session& session) const {
  const auto failed = [&](const char* status, Fault fault, const std::string& problem) {
    job.run.status = status;
    job.run.problem = problem;
    job.fault = int(fault);
  };
  try {
    if (job.teacher != none && !jobs_[job.teacher].run.finished()) {
      failed("missing", Fault(0), "its teacher " + jobs_[job.teacher].run.status);
    } else if (settled) {
      take_result(job, *settled);
    } else if (options_.force) {
      take_result(job, start_run(job.settings, job.folder, fs::exists(job.folder), session));
    } else {
      take_result(job, complete_run(job.settings, job.folder, session));
    }
  } catch (const Error& error) {
    const bool diverged = error.fault() == Fault::diverged;
    if (diverged && fs::exists(job.folder / "summary.json"))
      take_result(job, read_summary(job.folder / "summary.json"));
    failed(diverged ? "diverged" : "failed", error.fault(), error.what());
  } catch (const std::bad_alloc&) {
    failed("failed", Fault::memory, "out of memory");
  } catch (const std::exception& error) {
    failed("failed", Fault::internal, error.what());
  }
}

void Queue::run_job(Job& job, Session& session, StudyProgress& progress) {
  const size_t index = size_t(&job - jobs_.data());
  const std::optional<Summary> there = settled(job);
  const std::unique_ptr<Progress> view = progress.begin(index, job.name);
  Session own(*view, session);
  Job attempted = job;
  if (attempted.settings.threads == 0 && options_.parallel > 1)
    attempted.settings.threads = std::max(1, cpu_quota() / options_.parallel);
  attempt(attempted, there, own);

  const std::lock_guard lock(mutex_);
  job.run = attempted.run;
  job.fault = attempted.fault;
  job.done = true;
  --running_;
  stopped_ = stopped_ || job.run.status == "stopped";
  Summary told = job.run.summary;
  told.status = job.run.status;
  progress.end(index, told, job.run.problem, there.has_value());
  if (!there) write_tables();
  changed_.notify_all();
}

void Queue::work(Session& session, StudyProgress& progress) {
  while (Job* job = next()) run_job(*job, session, progress);
  changed_.notify_all();
}

StudyResult Queue::run() {
  std::error_code error;
  fs::create_directories(folder_, error);
  check(!error, Fault::write, folder_.string(), ": the folder cannot be made: ", error.message());
  const FolderLock lock(folder_);
  remove_abandoned_files(folder_);
  std::vector<std::string> kinds;
  for (const Job& job : jobs_) kinds.push_back(job.kind);
  const size_t parallel = std::min(size_t(options_.parallel), jobs_.size());
  StudyProgress progress(session_.progress, kinds, int(parallel), steady_seconds);
  write_tables();
  {
    // A failure of the queue itself (no room for the tables) ends all threads, then the program.
    std::exception_ptr problem;
    const auto guarded = [&] {
      try {
        work(session_, progress);
      } catch (...) {
        const std::lock_guard own(mutex_);
        if (!problem) problem = std::current_exception();
        stopped_ = true;
        changed_.notify_all();
      }
    };
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < parallel; ++i) helpers.emplace_back(guarded);
    guarded();
    helpers.clear();
    if (problem) std::rethrow_exception(problem);
  }
  StudyResult all = result();
  all.stopped = stopped_ || session_.stop.received();
  write_tables();
  write_curves(all);
  return all;
}

// Teachers first, so that they are the array that students wait for.
std::vector<size_t> Queue::tasks() const {
  std::vector<size_t> order(jobs_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_partition(order.begin(), order.end(), [&](size_t job) {
    return std::any_of(pairs_.begin(), pairs_.end(),
                       [&](const PairJobs& pair) { return pair.teacher == job; });
  });
  return order;
}

Summary Queue::run_task(int64_t task) {
  const std::vector<size_t> order = tasks();
  check(task >= 0 && task < int64_t(order.size()), Fault::usage, "task ", task, ": the study has ",
        order.size(), " runs, 0 to ", order.size() - 1);
  const Job& job = jobs_[order[size_t(task)]];
  if (const std::optional<Summary> there = settled(job)) return *there;
  if (job.teacher != none) {
    const std::optional<Summary> teacher = settled(jobs_[job.teacher]);
    check(teacher && teacher->status == "finished", Fault::input, jobs_[job.teacher].folder.string(),
          ": the teacher of ", job.name, " is not finished");
  }
  session_.progress.note(text("task ", task, " of ", order.size(), ": ", job.name));
  return complete_run(job.settings, job.folder, session_);
}

StudyResult Queue::collect() {
  check(fs::is_directory(folder_), Fault::input, folder_.string(),
        ": there is no such folder to collect from");
  const FolderLock lock(folder_);
  for (Job& job : jobs_) {
    if (!RunFolder::is_run(job.folder)) continue;
    try {
      const RecordedRun run = read_recorded_run(job.folder);
      job.run.status = "running";
      if (run.summary) take_result(job, *run.summary);
    } catch (const Error& error) {
      job.run.status = "failed";
      job.run.problem = error.what();
      job.fault = int(error.fault());
    }
  }
  write_tables();
  const StudyResult all = result();
  write_curves(all);
  return all;
}

StudyResult Queue::result() const {
  StudyResult result{.title = study_.title, .data = jobs_.front().settings.data.spec};
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    const StudyPair& pair = study_.pairs[p];
    ResultPair found{.name = pair.name,
                     .teacher = pair.teacher.model,
                     .student = pair.student(),
                     .data = result.data,
                     .data_hash = {}};
    result.teachers.push_back({});
    if (pairs_[p].teacher != none) {
      const ResultRun& teacher = jobs_[pairs_[p].teacher].run;
      result.teachers.back() = teacher;
      found.teacher_summary = teacher.summary;
    } else {
      found.teacher = given_models_[p];
      // What weights are of, their file says, not the study's.
      if (pair.teacher.model.empty()) found.name = given_models_[p] + "-" + pair.name;
    }
    for (size_t m = 0; m < pair.methods.size(); ++m) {
      ResultRow row{.label = pair.methods[m].label,
                    .method = pair.methods[m].settings.method.method().name,
                    .settings = jobs_[pairs_[p].rows[m].front()].settings};
      for (const size_t job : pairs_[p].rows[m]) row.runs.push_back(jobs_[job].run);
      settle(row);
      found.rows.push_back(std::move(row));
    }
    result.pairs.push_back(std::move(found));
  }
  int diverged = 0;
  for (const Job& job : jobs_) {
    if (job.fault == int(Fault::diverged))
      diverged = job.fault;
    else if (result.exit_code == 0)
      result.exit_code = job.fault;
  }
  if (result.exit_code == 0) result.exit_code = diverged;
  return result;
}

void Queue::write_tables() const {
  const StudyResult now = result();
  write_file(folder_ / "results.json", study_json(now, folder_, /*seal=*/true));
  write_file(folder_ / "results.md", study_markdown(now));
}

void Queue::write_curves(const StudyResult& all) const {
  for (size_t p = 0; p < all.pairs.size(); ++p) {
    std::vector<RunCurves> curves;
    for (const ResultRow& row : all.pairs[p].rows) {
      try {
        const MetricsTable metrics = read_recorded_run(row.runs.front().folder).metrics;
        if (!metrics.rows.empty()) curves.push_back({row.label, metrics, row.method});
      } catch (const Error&) {  // it is among the study's failures
      }
    }
    const fs::path place = folder_ / study_.pairs[p].place;
    if (!curves.empty() && fs::exists(place))
      write_learning_curves(place / "curves.svg", all.pairs[p].name, curves);
  }
}

}  // namespace

StudyResult run_study(const Study& study, const fs::path& folder, const StudyOptions& options,
                      Session& session) {
  // One spelling: it becomes part of the runs' settings, and a resumed study compares those.
  Queue queue(study, folder.lexically_normal(), options, session);
  queue.check_all();
  return queue.run();
}

Summary run_study_task(const Study& study, const fs::path& folder, int64_t task, Session& session) {
  return Queue(study, folder.lexically_normal(), {}, session).run_task(task);
}

StudyResult collect_study(const Study& study, const fs::path& folder, Session& session) {
  return Queue(study, folder.lexically_normal(), {}, session).collect();
}

}  // namespace retort
