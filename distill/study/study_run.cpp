#include "distill/study/study_run.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include "distill/methods/loss_probe.h"
#include "distill/run/curves_svg.h"
#include "distill/run/named_weights.h"
#include "distill/run/run_folder.h"
#include "distill/settings/data_options.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/choice.h"
#include "distill/study/expected_time.h"
#include "distill/study/folder_lock.h"
#include "distill/study/job.h"
#include "distill/study/places.h"
#include "distill/study/recorded_run.h"
#include "distill/study/study_progress.h"
#include "distill/train/settled_data.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

class Queue {
 public:
  Queue(const Study& study, const fs::path& folder, const StudyOptions& options, Session& session)
      : study_(study), folder_(folder), options_(options), session_(session), plan_(plan_of(study, folder)) {
    for (const PlannedRun& planned : plan_.runs) {
      jobs_.push_back(
          {planned, chosen_, false, false, {.seed = planned.settings.seed, .folder = planned.folder}, 0});
      chosen_ += planned.chosen;
    }
    for (const StudyPair& pair : study.pairs)
      given_models_.push_back(pair.teacher_weights.empty() ? "" : pair.teacher.model);
  }

  void check_all();
  StudyResult run();
  Summary run_task(int64_t task);
  StudyResult collect();
  const StudyPlan& plan() const { return plan_; }

 private:
  void check_folder() const;
  void share_logits_of(const ImageSet& images);
  void say_expected();
  void discard_all();
  void leave_out(Held held);
  void name_given_teachers();
  bool is_shown(size_t pair) const;
  bool is_shown(size_t pair, size_t method) const;

  void work(Session& session, StudyProgress& progress);
  Job* next();
  void run_job(Job& job, Session& session, StudyProgress& progress);
  void attempt(Job& job, const std::optional<Summary>& settled, Session& session) const;

  StudyResult result() const;
  void write_tables() const;
  void write_curves(const StudyResult& result) const;

  const Study& study_;
  const fs::path folder_;
  const StudyOptions options_;
  Session& session_;
  StudyPlan plan_;
  std::vector<Job> jobs_;                  // the plan's runs
  size_t chosen_ = 0;                      // of them
  std::vector<std::string> given_models_;  // of teachers that are there, by pair

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t running_ = 0;
  bool stopped_ = false;
};

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
      holds_nothing(folder_) || fs::exists(folder_ / "study.lock", ignored) ||
      fs::exists(folder_ / "results.json", ignored) ||
      std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return RunFolder::is_run(job.folder); });
  check(ours && !RunFolder::is_run(folder_), Fault::usage, folder_.string(),
        ": is not empty and no study's folder; name another one with --out");
}

// What the plan left open, as it knew no images.
void Queue::share_logits_of(const ImageSet& images) {
  if (!images.in_memory()) return;
  for (size_t i = 0; i < jobs_.size(); ++i) {
    share_logits(plan_.runs[i].settings);
    share_logits(jobs_[i].settings);
  }
}

// What can be refused is refused now, not after the hours of the runs before it.
void Queue::check_all() {
  check_folder();
  const std::string& data = jobs_.front().settings.data.spec;
  for (const Job& job : jobs_) {
    if (!job.chosen) continue;
    check(job.settings.data.spec == data, Fault::usage, study_.title, ": ", job.name, " has data '",
          job.settings.data.spec, "', others have '", data, "'; a study compares on one data set");
    if (!options_.force) check_same_run(job.settings, job.folder, session_);
    RunSettings copy = job.settings;
    resolve(copy);
  }
  name_given_teachers();
  const DataSet& images = session_.data(jobs_.front().settings);
  share_logits_of(images.train);
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    for (size_t m = 0; m < study_.pairs[p].methods.size(); ++m) {
      if (!study_.pairs[p].chosen || !study_.pairs[p].methods[m].chosen) continue;
      RunSettings settings = jobs_[plan_.pairs[p].rows[m].front()].settings;
      if (settings.method.method().reads.teacher && plan_.pairs[p].teacher != no_run) {
        // Its teacher is not there yet.
        check_method(settings.method, compared_classes(settings, images));
        if (!images.boxes) check_photos(settings, images.train);
      } else {
        prepare_run(settings, session_);
      }
    }
  }
}

// Nothing is done for what was not chosen, and what is there of it stands, if it is the study's.
void Queue::leave_out(Held held) {
  for (Job& job : jobs_) {
    if (job.chosen) continue;
    job.started = job.done = true;
    job.run.status = "left out";
    if (RunFolder::is_run(job.folder)) take_what_is_there(job, held, session_);
  }
}

// Before hours are spent, how many.
void Queue::say_expected() {
  try {
    const ExpectedTime expected = expected_time(plan_, session_, {.brief = true, .anew = options_.force});
    if (expected.runs > 0) session_.progress.note("expected: " + expected_line(expected));
  } catch (const Stopped&) {  // nothing runs then
  } catch (const std::exception& error) {
    session_.progress.note(text("how long it takes cannot be told: ", error.what()));
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
      if (job.teacher != no_run && !jobs_[job.teacher].done) continue;
      job.started = true;
      ++running_;
      return &job;
    }
    if (!any || running_ == 0) return nullptr;
    changed_.wait(lock);
  }
}

// At once, so that what a stopped study has made anew stands when it goes on.
void Queue::discard_all() {
  for (const Job& job : jobs_)
    if (job.chosen && RunFolder::is_run(job.folder)) RunFolder(job.folder, RunFolder::Mode::force).discard();
}

// What weights are of, their file says, not the study's. Their tables may be collected where they do not lie.
void Queue::name_given_teachers() {
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    const StudyPair& pair = study_.pairs[p];
    if (pair.teacher_weights.empty() || !pair.chosen || !is_there(pair.teacher_weights)) continue;
    const Weights weights = read_weights(pair.teacher_weights);
    if (given_models_[p].empty()) given_models_[p] = weights.architecture;
  }
}

// Runs it; what goes wrong is its result.
void Queue::attempt(Job& job, const std::optional<Summary>& settled, Session& session) const {
  try {
    if (job.teacher != no_run && !jobs_[job.teacher].run.finished()) {
      take_problem(job, "missing", Fault(0), "its teacher " + jobs_[job.teacher].run.status);
    } else if (settled) {
      // Whether a teacher that was trained meanwhile is the one it learned from.
      if (job.teacher != no_run) check_same_run(job.settings, job.folder, session);
      take_result(job, *settled);
    } else {
      take_result(job, complete_run(job.settings, job.folder, session));
    }
  } catch (const Error& error) {
    const bool diverged = error.fault() == Fault::diverged;
    if (diverged && fs::exists(job.folder / "summary.json"))
      take_result(job, read_summary(job.folder / "summary.json"));
    take_problem(job, diverged ? "diverged" : "failed", error.fault(), error.what());
  } catch (const std::bad_alloc&) {
    take_problem(job, "failed", Fault::memory, "out of memory");
  } catch (const std::exception& error) {
    take_problem(job, "failed", Fault::internal, error.what());
  }
}

void Queue::run_job(Job& job, Session& session, StudyProgress& progress) {
  const std::optional<Summary> there = settled_result(job.folder);
  const std::unique_ptr<Progress> view = progress.begin(job.place, job.name);
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
  progress.end(job.place, told, job.run.problem, there.has_value());
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
  say_expected();
  if (options_.force) discard_all();
  std::vector<std::string> kinds;
  for (const Job& job : jobs_)
    if (job.chosen) kinds.push_back(job.kind);
  const size_t parallel = std::min(size_t(options_.parallel), chosen_);
  StudyProgress progress(session_.progress, kinds, int(parallel), steady_seconds);
  leave_out(Held::to_what_is_here);
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

Summary Queue::run_task(int64_t task) {
  const std::vector<size_t> order = plan_.tasks();
  check(task >= 0 && task < int64_t(order.size()), Fault::usage, "task ", task, ": the study has ",
        order.size(), " runs, 0 to ", order.size() - 1);
  const Job& job = jobs_[order[size_t(task)]];
  if (job.teacher != no_run) check_same_settings(jobs_[job.teacher].settings, jobs_[job.teacher].folder);
  if (const std::optional<Summary> there = settled_result(job.folder)) {
    check_same_run(job.settings, job.folder, session_);
    return *there;
  }
  if (job.teacher != no_run) {
    const std::optional<Summary> teacher = settled_result(jobs_[job.teacher].folder);
    check(teacher && teacher->status == "finished", Fault::input, jobs_[job.teacher].folder.string(),
          ": the teacher of ", job.name, " is not finished");
  }
  share_logits_of(session_.data(job.settings).train);
  session_.progress.note(text("task ", task, " of ", order.size(), ": ", job.name));
  return complete_run(job.settings, job.folder, session_);
}

StudyResult Queue::collect() {
  check(fs::is_directory(folder_), Fault::input, folder_.string(),
        ": there is no such folder to collect from");
  const FolderLock lock(folder_);
  leave_out(Held::together);
  for (Job& job : jobs_)
    if (job.chosen && RunFolder::is_run(job.folder)) take_what_is_there(job, Held::together, session_);
  hold_together(jobs_);
  name_given_teachers();
  write_tables();
  const StudyResult all = result();
  write_curves(all);
  return all;
}

// A pair that was not chosen, where runs of its own are there.
bool Queue::is_shown(size_t pair) const {
  const auto there = [&](size_t job) { return !jobs_[job].chosen && jobs_[job].run.status != "left out"; };
  const auto& rows = plan_.pairs[pair].rows;
  return study_.pairs[pair].chosen || std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
           return std::any_of(row.begin(), row.end(), there);
         });
}

// All pairs have the same rows: a method's, where it was chosen or is there for any of them.
bool Queue::is_shown(size_t pair, size_t method) const {
  const auto there = [&](size_t job) { return jobs_[job].run.status != "left out"; };
  const auto& row = plan_.pairs[pair].rows[method];
  return study_.pairs[pair].methods[method].chosen || std::any_of(row.begin(), row.end(), there);
}

StudyResult Queue::result() const {
  StudyResult result{
      .title = study_.title, .data = jobs_.front().settings.data.spec, .not_chosen = not_chosen(study_)};
  std::vector<bool> rows(study_.pairs.front().methods.size());
  for (size_t p = 0; p < study_.pairs.size(); ++p)
    for (size_t m = 0; m < rows.size(); ++m) rows[m] = rows[m] || (is_shown(p) && is_shown(p, m));
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    if (!is_shown(p)) continue;
    const StudyPair& pair = study_.pairs[p];
    ResultPair found{.name = pair.name,
                     .teacher = pair.teacher.model,
                     .student = pair.student(),
                     .data = result.data,
                     .data_hash = {}};
    result.teachers.push_back({});
    if (plan_.pairs[p].teacher != no_run) {
      const ResultRun& teacher = jobs_[plan_.pairs[p].teacher].run;
      result.teachers.back() = teacher;
      found.teacher_summary = teacher.summary;
    } else {
      found.teacher = given_models_[p];
      if (pair.teacher.model.empty() && !found.teacher.empty()) found.name = found.teacher + "-" + pair.name;
    }
    for (size_t m = 0; m < pair.methods.size(); ++m) {
      if (!rows[m]) continue;
      ResultRow row{.label = pair.methods[m].label,
                    .method = pair.methods[m].settings.method.method().name,
                    .settings = jobs_[plan_.pairs[p].rows[m].front()].settings};
      for (const size_t job : plan_.pairs[p].rows[m]) row.runs.push_back(jobs_[job].run);
      settle(row);
      found.rows.push_back(std::move(row));
    }
    result.pairs.push_back(std::move(found));
  }
  int diverged = 0;
  for (const Job& job : jobs_) {
    if (!job.chosen) continue;
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
  size_t next = 0;
  for (size_t p = 0; p < study_.pairs.size(); ++p) {
    if (!is_shown(p)) continue;
    const ResultPair& pair = all.pairs[next++];
    std::vector<RunCurves> curves;
    for (const ResultRow& row : pair.rows) {
      try {
        const MetricsTable metrics = read_recorded_run(row.runs.front().folder).metrics;
        if (!metrics.rows.empty())
          curves.push_back(
              {row.label, metrics, row.method, row.settings ? labels_weight_of(row.settings->method) : 1});
      } catch (const Error&) {  // it is among the study's failures
      }
    }
    const fs::path place = folder_ / study_.pairs[p].place;
    if (!curves.empty() && fs::exists(place)) write_learning_curves(place / "curves.svg", pair.name, curves);
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

StudyPlan check_study(const Study& study, const fs::path& folder, const StudyOptions& options,
                      Session& session) {
  Queue queue(study, folder.lexically_normal(), options, session);
  queue.check_all();
  return queue.plan();
}

Summary run_study_task(const Study& study, const fs::path& folder, int64_t task, Session& session) {
  return Queue(study, folder.lexically_normal(), {}, session).run_task(task);
}

StudyResult collect_study(const Study& study, const fs::path& folder, Session& session) {
  return Queue(study, folder.lexically_normal(), {}, session).collect();
}

}  // namespace retort
