#include "distill/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "distill/train/checkpoint.h"
#include "distill/train/control.h"
#include "distill/train/processes.h"
#include "distill/train/records.h"
#include "distill/train/settled_data.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Trainer {
 public:
  Trainer(Assembly& run, const RunFolder& folder, Progress& progress, const StopSignal& stop)
      : run_(run),
        folder_(folder),
        progress_(progress),
        stop_(stop),
        control_(run.world, stop),
        records_(run, folder, progress) {}

  Summary train(bool resume, const std::vector<std::string>& arguments);

 private:
  bool train_epoch();  // false if a signal came
  void finish_epoch();
  Task::Tested test(const Task::Activity& activity);
  void resume_checkpoint();
  void bind();
  void save(bool best);
  Summary end(const std::string& status);
  MetricTotals::Values checked_totals();
  void show();
  void between_steps(const Control::Words& words);
  std::string what_is_kept() const;
  [[noreturn]] void end_diverged(const std::string& line);

  TrainingState state() {
    return {*run_.student, *run_.distiller, *run_.optimizer, *run_.device, run_.average.get()};
  }
  double seconds() const { return counters_.seconds + seconds_since(started_); }

  Assembly& run_;
  const RunFolder& folder_;
  Progress& progress_;
  const StopSignal& stop_;
  Control control_;
  RunRecords records_;
  Counters counters_;
  int64_t bad_pictures_ = 0;                  // that were told of
  int64_t first_batch_ = 0;                   // that this process trained of the epoch
  Binding binding_;                           // of the checkpoints to come
  bool bound_ = false;                        // config.toml is that of the checkpoint the run goes on from
  bool went_back_ = false;                    // that is the one before the last
  Clock::time_point started_ = Clock::now();  // of this process
  Clock::time_point epoch_started_ = Clock::now();  // of the epoch, in this process
  Clock::time_point saved_ = Clock::now(), shown_ = Clock::now();
};

Summary Trainer::train(bool resume, const std::vector<std::string>& arguments) {
  bind();
  check_alike(run_);
  if (resume) resume_checkpoint();
  check_weights_alike(run_);  // all have read the same files, before the first one writes
  if (went_back_ && records_.writes()) folder_.put_previous_back();
  records_.begin(resume, bound_, binding_, arguments);
  progress_.begin_run(records_.header());
  started_ = Clock::now();
  records_.write_summary("running", counters_, seconds());

  const bool filled =
      !run_.teacher || run_.teacher->fill(run_.split.train, [&] { return !stop_.received(); });
  for (; counters_.epoch <= run_.settings.epochs; ++counters_.epoch) {
    if (control_.ask(false, !filled).stops || !train_epoch()) return end("stopped");
    finish_epoch();
  }
  return end("finished");
}

bool Trainer::train_epoch() {
  epoch_started_ = saved_ = Clock::now();
  first_batch_ = counters_.batch;
  run_.distiller->begin_epoch(counters_.epoch);
  if (counters_.batch == 0) run_.task->totals().clear();
  run_.task->begin_epoch(counters_.epoch, counters_.batch);
  show();
  while (counters_.batch < run_.task->batches()) {
    run_.optimizer->set_learning_rate(run_.schedule.at(counters_.epoch, counters_.batch));
    run_.average->begin_step((counters_.epoch - 1) * run_.task->batches() + counters_.batch);
    run_.task->step();
    if (!records_.has_tables())
      records_.open_tables(run_.task->term_names(), counters_.epoch, binding_.metrics);
    records_.profiled_step();
    if (++counters_.batch == run_.task->batches()) break;  // finished before anything else is done
    const Control::Words words =
        control_.after_step(seconds_since(saved_) > 60 * run_.settings.checkpoint_minutes);
    if (words.stops) return false;
    if (words.asked) between_steps(words);
  }
  return true;
}

// Now and then: what a user sees, and a checkpoint.
void Trainer::between_steps(const Control::Words& words) {
  if (run_.world ||
      seconds_since(shown_) > 0.1) {  // on all after the same step: it may find that the loss is not finite
    show();
    shown_ = Clock::now();
  }
  if (words.saves) {
    save(false);
    saved_ = Clock::now();
  }
}

// What is trained can end in overflow while it is tested; such an epoch is never the best.
Task::Tested Trainer::test(const Task::Activity& activity) {
  try {
    const Averaged averaged(*run_.average);
    return run_.task->test(activity);
  } catch (const Error& error) {
    if (error.fault() != Fault::diverged) throw;
    records_.write_summary("diverged", counters_, seconds());
    end_diverged(text(error.what(), ", after epoch ", counters_.epoch, what_is_kept()));
  }
}

void Trainer::finish_epoch() {
  const MetricTotals::Values sums = checked_totals();
  const double images = double(run_.task->images_before(run_.task->batches()));
  // Of the epoch, by this process.
  const double trained = images - double(run_.task->images_before(first_batch_));
  const double images_per_second = trained / seconds_since(epoch_started_);
  const auto activity = [&](int64_t done, int64_t total) { progress_.activity("testing", done, total); };
  const Task::Tested tested = test(activity);

  EpochMetrics row{.epoch = counters_.epoch,
                   .lr = run_.schedule.at(counters_.epoch, run_.task->batches() - 1),
                   .train_loss = sums.loss / images,
                   .trained = run_.task->trained(sums, images),
                   .tested = tested.values,
                   .seconds = counters_.epoch_seconds + seconds_since(epoch_started_),
                   .terms = {}};
  for (double sum : sums.terms) row.terms.push_back(sum / images);
  records_.add_epoch(row, images_per_second);
  binding_.metrics = records_.table();

  counters_.last = EpochResult{counters_.epoch, tested.values};
  const bool best = counters_.best ? run_.task->metrics()[0].better(tested.score, counters_.best_score)
                                   : !std::isnan(tested.score);
  if (best) {
    counters_.best_score = tested.score;
    counters_.best = counters_.last;
  }
  // The checkpoint stands at the beginning of the next epoch.
  const Counters now = counters_;
  counters_.batch = 0;
  counters_.totals = {};
  counters_.epoch_seconds = 0;
  ++counters_.epoch;
  run_.task->totals().clear();
  epoch_started_ = Clock::now();
  if (const BadPictures bad = run_.task->bad_pictures(); bad.count > bad_pictures_) {
    bad_pictures_ = bad.count;
    records_.tell(bad.note(run_.task->images()));
  }
  save(best);
  counters_.epoch = now.epoch;
  records_.write_summary("running", counters_, seconds());
}

Summary Trainer::end(const std::string& status) {
  if (status == "stopped") save(false);
  const Averaged averaged(*run_.average);
  const Summary summary = records_.write_summary(status, counters_, seconds());
  if (status == "stopped")
    records_.log(text("stopped by a signal in epoch ", counters_.epoch, " after batch ", counters_.batch));
  else
    records_.finish(run_.teacher ? run_.teacher->stored() : nullptr);
  return summary;
}

// By which a checkpoint knows the folder, the images and the teacher that it belongs to.
void Trainer::bind() {
  binding_.settings = settings_hash(run_.settings);
  binding_.data = text(std::hex, run_.data.hash());
  if (!run_.data.boxes) binding_.test = text(std::hex, run_.data.test.hash());
  binding_.metrics.metrics = run_.task->metrics();
  if (run_.teacher) binding_.teacher = run_.teacher->hash();
}

void Trainer::resume_checkpoint() {
  const std::optional<LoadedCheckpoint> loaded = load_last_of(
      folder_.last(), folder_.previous(), state(), [this](const std::string& line) { records_.tell(line); });
  if (!loaded) return;  // killed before the first one
  const CheckpointRecord& record = loaded->record;
  went_back_ = loaded->is_previous;
  check_belongs(record, went_back_ ? folder_.previous() : folder_.last(), binding_,
                {.epochs = run_.settings.epochs,
                 .batch = run_.settings.batch,
                 .images = run_.task->images(),
                 .batches = run_.task->batches()});
  counters_ = record.counters;
  run_.average->exchange();  // the file's network is the average
  run_.task->totals().restore(counters_.totals);
  bound_ = record.binding.sealed;
  binding_.metrics = record.binding.metrics;
  if (!bound_ && std::filesystem::exists(folder_.metrics()))
    binding_.metrics = read_metrics(folder_.metrics());
  std::erase_if(binding_.metrics.rows, [&](const EpochMetrics& row) { return row.epoch >= counters_.epoch; });
  progress_.note(text("resuming at epoch ", counters_.epoch, ", batch ", counters_.batch));
}

// Behind what a run that diverged says.
std::string Trainer::what_is_kept() const {
  return text(RunFolder::has_checkpoint(folder_.path()) ? "; the last good checkpoint was kept"
                                                        : "; there is no checkpoint before it",
              ". A smaller --lr may help");
}

MetricTotals::Values Trainer::checked_totals() {
  MetricTotals::Values values = run_.task->totals().read();
  if (std::isfinite(values.loss)) return values;
  records_.write_summary("diverged", counters_, seconds());
  const std::string line = text("the loss is not finite in epoch ", counters_.epoch, ", at or before batch ",
                                counters_.batch, what_is_kept());
  end_diverged(line);
}

// On all processes: they have the same numbers.
void Trainer::end_diverged(const std::string& line) {
  records_.log(line);
  const Error error(Fault::diverged, line);
  if (run_.world) run_.world->agree(&error);
  throw error;
}

void Trainer::show() {
  const MetricTotals::Values values = checked_totals();
  const auto images = double(run_.task->images_before(counters_.batch));
  progress_.batch({.epoch = counters_.epoch,
                   .epochs = run_.settings.epochs,
                   .batch = counters_.batch,
                   .batches = run_.task->batches(),
                   .images = int64_t(images),
                   .loss = images > 0 ? values.loss / images : std::numeric_limits<double>::quiet_NaN(),
                   .trained = {run_.task->metrics()[0], run_.task->trained(values, images)},
                   .lr = run_.schedule.at(counters_.epoch, counters_.batch)});
}

// The file's network is the average, for whoever reads it; what is trained lies beside it.
void Trainer::save(bool best) {
  const Averaged averaged(*run_.average);
  check_weights_alike(run_);
  if (!records_.writes()) return;
  records_.write_convolutions();
  Counters c = counters_;
  c.totals = checked_totals();
  c.seconds = seconds();
  if (c.batch > 0) c.epoch_seconds += seconds_since(epoch_started_);
  Metadata metadata = metadata_of(run_.data, run_.student_sees, run_.student->side, run_.settings.data.size);
  metadata["epoch"] = std::to_string(c.last ? c.last->epoch : 0);
  if (c.last) metadata[run_.task->metrics()[0].name] = exact_decimal(c.last->first());
  Binding binding = binding_;
  if (run_.tuning) binding.convolutions = run_.tuning->record();
  try {
    save_checkpoint(folder_.last(), folder_.previous(), state(), c, binding, metadata);
    if (best) save_checkpoint(folder_.best(), {}, state(), c, binding, metadata);
  } catch (const Error& error) {
    if (error.fault() != Fault::diverged) throw;
    records_.write_summary("diverged", counters_, seconds());
    const std::string line = error.what() + what_is_kept();
    records_.log(line);
    fail(Fault::diverged, line);  // the others may know nothing of it
  }
}

}  // namespace

Summary train(Assembly& run, const RunFolder& folder, bool resume, Progress& progress, const StopSignal& stop,
              const std::vector<std::string>& arguments) {
  return Trainer(run, folder, progress, stop).train(resume, arguments);
}

}  // namespace retort
