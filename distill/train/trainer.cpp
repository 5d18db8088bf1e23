#include "distill/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "datasets/device_batch.h"
#include "datasets/loader.h"
#include "distill/evaluate/evaluate.h"
#include "distill/evaluate/metric_totals.h"
#include "distill/evaluate/seen_by.h"
#include "distill/methods/registry.h"
#include "distill/run/curves_svg.h"
#include "distill/run/metrics_csv.h"
#include "distill/run/named_weights.h"
#include "distill/run/profile_report.h"
#include "distill/run/tensorboard.h"
#include "distill/settings/setting_keys.h"
#include "distill/teacher/teacher.h"
#include "distill/text/text_format.h"
#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "engine/base/atomic_file.h"
#include "engine/base/cache_folder.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "engine/cpu/conv_tuning.h"
#include "engine/step_graph.h"

namespace retort {

namespace {

using Clock = std::chrono::steady_clock;
// Steps of --profile, and those before it.
constexpr int64_t measured_steps = 20, warm_up_steps = 5;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// "resnet8, pcd, seed 1"
std::string run_name(const RunSettings& s) {
  return text(s.model, s.teacher.empty() ? "" : ", " + s.method.method().name, ", seed ", s.seed);
}

class Trainer {
 public:
  Trainer(const RunSettings& settings, const DataSet& data, const RunFolder& folder, Progress& progress,
          const StopSignal& stop, bool profile);
  Summary run(bool resume, const std::vector<std::string>& arguments);

 private:
  // To the user and the log.
  void tell(const std::string& line);
  void load_last_checkpoint();
  void open_records(bool resume, const std::vector<std::string>& arguments);
  // False if a signal came.
  bool train_epoch();
  void step(const Batch& batch, const Tensor& teacher_logits);
  void prepare_tuning();
  void profiled_step();
  void finish_epoch();
  MetricTotals::Values checked_totals();
  void save(bool best);
  void write_summary_now(const std::string& status);
  void show(int64_t batches_done);
  double seconds() const { return counters_.seconds + seconds_since(started_); }

  RunSettings settings_;
  const DataSet& data_;
  const RunFolder& folder_;
  Progress& progress_;
  const StopSignal& stop_;

  std::unique_ptr<ConvTuning> tuning_;  // this and the profile outlive the device
  std::string tuning_record_;           // as it is in the run's folder
  std::unique_ptr<Profile> profile_;
  int64_t profiled_steps_ = 0;  // and those to warm up
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> student_;
  Normalize student_sees_;
  std::unique_ptr<Teacher> teacher_;  // where the method reads one
  std::unique_ptr<Distiller> distiller_;
  MultiStepSchedule schedule_;
  std::unique_ptr<Sgd> optimizer_;
  Split split_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<DeviceBatch> batch_;
  std::unique_ptr<MetricTotals> totals_;
  std::unique_ptr<StepGraph> graph_;
  std::unique_ptr<Evaluator> test_, validation_;

  std::unique_ptr<MetricsCsv> csv_;
  std::unique_ptr<TensorBoard> events_;
  std::vector<std::string> term_names_;
  Counters counters_;
  Clock::time_point started_ = Clock::now();        // of this process
  Clock::time_point epoch_started_ = Clock::now();  // of the epoch, in this process
  Clock::time_point saved_ = Clock::now(), shown_ = Clock::now();
};

Trainer::Trainer(const RunSettings& settings, const DataSet& data, const RunFolder& folder,
                 Progress& progress, const StopSignal& stop, bool profile)
    : settings_(settings),
      data_(data),
      folder_(folder),
      progress_(progress),
      stop_(stop),
      student_sees_(normalize_of(data.train)) {
  if (profile) profile_ = std::make_unique<Profile>();
  if (settings.tune) prepare_tuning();
  settings_.device = resolved_device(settings.device);
  if (settings.precision == "auto") settings_.precision = name_of(default_precision(settings_.device));
  const Precision precision = precision_named(settings_.precision);
  device_ = Device::open({.name = settings_.device,
                          .threads = settings.threads,
                          .precision = precision,
                          .capture = !settings.eager,
                          .tuning = tuning_.get(),
                          .profile = profile_.get()});
  check(!settings.model.empty(), Fault::usage, "train: no model is named (--model, or --student)");

  student_ = make_model(settings.model, *device_,
                        {.classes = data.train.classes, .double_batch_norm = settings.double_batch_norm});
  initialize(*student_, *device_, settings.seed);
  Weights init;
  if (!settings.init.empty()) {
    init = read_weights(settings.init);
    load_state(*student_, *device_, model_tensors(init.file), init.path.string() + " as " + settings.model);
  }
  const auto to_tell = [this](const std::string& line) { tell(line); };
  student_sees_ = settled_numbers(init, settings_.data.mean, settings_.data.std, data.train, to_tell);
  if (settings.method.method().reads.teacher) {
    teacher_ = std::make_unique<Teacher>(settings_, data, *device_, progress, to_tell);
    if (!(teacher_->sees() == student_sees_))
      tell(text("the teacher sees images by ", text_of(teacher_->sees()), ", the student by ",
                text_of(student_sees_)));
  }
  split_ = split_samples(data.train.size(), settings.data.limit, settings.data.validation, settings.seed);
  distiller_ = make_distiller(settings.method, *device_,
                              method_context(settings, *student_, teacher_ ? &teacher_->model() : nullptr,
                                             *device_, data.train, split_.train));
  initialize(*distiller_, *device_, settings.seed);

  schedule_ = {settings.optimizer.lr, settings.schedule.milestones.value_or(std::vector<int>{}),
               settings.schedule.factor};
  optimizer_ =
      std::make_unique<Sgd>(*device_, learned_parameters(*student_, *distiller_),
                            SgdOptions{settings.optimizer.lr, settings.optimizer.momentum,
                                       settings.optimizer.weight_decay, precision == Precision::fp16});

  if (teacher_) {
    const std::string line = teacher_->choose_source(int64_t(split_.train.size()));
    if (!line.empty()) folder_.log(line);
  }
  // Room for as many images as a batch can have.
  const int64_t largest_batch = std::min(settings.batch, int64_t(split_.train.size()));
  const LoaderOptions loading{.batch = largest_batch,
                              .seed = settings.seed,
                              .shuffle = settings.data.shuffle,
                              .augment = augment_named(settings.data.augment),
                              .views = settings.data.views,
                              .workers = settings.data.workers,
                              .pixels = !DeviceBatch::renders(*device_),
                              .strong = views_read(settings.method) == 2,
                              .normalize = student_sees_,
                              .other = teacher_ ? teacher_->images_besides(student_sees_) : std::nullopt};
  loader_ = std::make_unique<Loader>(data.train, split_.train, loading);
  batch_ = std::make_unique<DeviceBatch>(
      *device_, data.train, largest_batch,
      DeviceBatchOptions{.strong = loading.strong, .normalize = loading.normalize, .other = loading.other});
  totals_ = std::make_unique<MetricTotals>(*device_);
  graph_ = std::make_unique<StepGraph>(*device_);
  test_ =
      std::make_unique<Evaluator>(*student_, *device_, data.test,
                                  EvaluateOptions{.threads = settings.threads, .normalize = student_sees_});
  if (settings.data.validation > 0) {
    validation_ = std::make_unique<Evaluator>(
        *student_, *device_, data.train,
        EvaluateOptions{
            .threads = settings.threads, .samples = split_.validation, .normalize = student_sees_});
  }
}

// A run that goes on computes its convolutions as it did.
void Trainer::prepare_tuning() {
  const std::filesystem::path cache = cache_folder(), record = folder_.convolutions();
  tuning_ = std::make_unique<ConvTuning>(cache.empty() ? cache : cache / "convolutions");
  if (!std::filesystem::exists(record)) return;
  const std::vector<std::byte> bytes = read_file(record);
  tuning_record_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  tuning_->continue_with(tuning_record_, record.string());
}

void Trainer::tell(const std::string& line) {
  progress_.note(line);
  folder_.log(line);
}

void Trainer::open_records(bool resume, const std::vector<std::string>& arguments) {
  Environment environment = this_environment();
  environment.device = settings_.device;
  environment.devices.push_back(device_->backend().description());
  environment.arguments = arguments;
  environment.seed = settings_.seed;
  environment.data = settings_.data.spec;
  environment.data_hash = text(std::hex, data_.hash());
  environment.normalization["student"] = text_of(student_sees_);
  if (teacher_) environment.normalization["teacher"] = text_of(teacher_->sees());
  write_environment(folder_.environment(), environment, resume);
  if (!resume) write_file(folder_.config(), settings_toml(settings_));
}

Summary Trainer::run(bool resume, const std::vector<std::string>& arguments) {
  if (resume) load_last_checkpoint();
  open_records(resume, arguments);
  progress_.begin_run();
  started_ = Clock::now();
  write_summary_now("running");
  const bool filled = !teacher_ || teacher_->fill(split_.train, [&] { return !stop_.received(); });
  for (; counters_.epoch <= settings_.epochs; ++counters_.epoch) {
    if (!filled || stop_.received() || !train_epoch()) {
      save(false);
      write_summary_now("stopped");
      folder_.log(text("stopped by a signal in epoch ", counters_.epoch, " after batch ", counters_.batch));
      return read_summary(folder_.summary());
    }
    finish_epoch();
  }
  write_summary_now("finished");
  if (const StoredTeacher* stored = teacher_ ? teacher_->stored() : nullptr; stored && stored->asked() > 0) {
    folder_.log(text("teacher table: had ", stored->found(), " of ", stored->asked(), " logits, ",
                     fixed(100 * double(stored->found()) / double(stored->asked()), 1), " %"));
  }
  if (profile_ && profiled_steps_ < warm_up_steps + measured_steps)
    progress_.note(text("no profile: the run had ", profiled_steps_, " steps, ",
                        warm_up_steps + measured_steps, " are needed"));
  folder_.log("finished");
  return read_summary(folder_.summary());
}

void Trainer::load_last_checkpoint() {
  const TrainingState state{*student_, *distiller_, *optimizer_, *device_};
  const bool before = std::filesystem::exists(folder_.previous());
  std::filesystem::path file = folder_.last();
  if (!std::filesystem::exists(file)) {  // killed before the first one, or between two renames
    if (!before) return;
    file = folder_.previous();
  }
  try {
    counters_ = load_checkpoint(file, state);
  } catch (const Error& error) {
    // The one before leads to the same weights, only later.
    if (error.fault() != Fault::input || file == folder_.previous() || !before) throw;
    tell(text(error.what(), "; going on from the checkpoint before it"));
    counters_ = load_checkpoint(folder_.previous(), state);
  }
  totals_->restore(counters_.totals);
  progress_.note(text("resuming at epoch ", counters_.epoch, ", batch ", counters_.batch));
}

void Trainer::step(const Batch& batch, const Tensor& teacher_logits) {
  const bool with_teacher = teacher_ != nullptr, features = settings_.method.method().reads.features;
  std::vector<std::string> names;
  graph_->run(batch.size(), [&] {
    batch_->render(batch);
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Var images(batch.images);
    Outputs taught;
    if (teacher_logits)
      taught.logits = Var(teacher_logits);
    else if (with_teacher)
      taught = teacher_->model().run(Var(batch.other_images), Pass{*device_}, features);
    const Outputs own = student_->run(images, pass, features);
    DistillInputs inputs;
    inputs.logits = {own.logits, taught.logits};
    if (batch.strong) {  // after the first view: the running statistics move twice
      const Var strong(batch.strong);
      inputs.strong = {(*student_)(strong, pass), teacher_->model()(Var(batch.other_strong), Pass{*device_})};
    }
    inputs.labels = Var(batch.labels);
    inputs.indices = Var(batch.indices);
    inputs.features = {own, taught};
    const std::vector<LossTerm> terms = distiller_->terms(inputs, pass);
    const Var loss = total(terms, pass);
    totals_->add(loss, terms, own.logits, batch.labels, pass);
    tape.backward(loss, optimizer_->loss_scale());
    optimizer_->step();
    for (const LossTerm& t : terms) names.push_back(t.name);
  });
  if (!csv_) {  // the first step of this process: now the terms have names
    term_names_ = names;
    csv_ = std::make_unique<MetricsCsv>(folder_.metrics(), term_names_, counters_.epoch);
    events_ = std::make_unique<TensorBoard>(folder_.tensorboard(), counters_.epoch);
  }
}

MetricTotals::Values Trainer::checked_totals() {
  MetricTotals::Values values = totals_->read();
  if (!std::isfinite(values.loss)) {
    write_summary_now("diverged");
    const std::string line =
        text("the loss is not finite in epoch ", counters_.epoch, ", at or before batch ", counters_.batch,
             "; the last good checkpoint was kept. A smaller --lr may help");
    folder_.log(line);
    fail(Fault::diverged, line);
  }
  return values;
}

void Trainer::show(int64_t batches_done) {
  const MetricTotals::Values values = checked_totals();
  const double images = double(std::min<int64_t>(batches_done * settings_.batch, loader_->samples()));
  progress_.batch({.epoch = counters_.epoch,
                   .epochs = settings_.epochs,
                   .batch = batches_done,
                   .batches = loader_->batches(),
                   .images = int64_t(images),
                   .loss = images > 0 ? values.loss / images : std::numeric_limits<double>::quiet_NaN(),
                   .top1 = images > 0 ? 100 * values.top1 / images : std::numeric_limits<double>::quiet_NaN(),
                   .lr = schedule_.at(counters_.epoch)});
}

// Behind a step: the profile begins, goes on, or is complete.
void Trainer::profiled_step() {
  ++profiled_steps_;
  if (profiled_steps_ == warm_up_steps) return profile_->begin();
  if (profiled_steps_ != warm_up_steps + measured_steps) return;
  profile_->end();
  const Peak peak = settings_.device == "cuda" ? Peak{} : measure_peak(settings_.threads);
  write_file(folder_.profile(), profile_trace(*profile_));
  progress_.note(profile_text(*profile_, measured_steps, peak));
  progress_.note(text("trace: ", folder_.profile().string(), " (chrome://tracing, ui.perfetto.dev)"));
  profile_->clear();
}

bool Trainer::train_epoch() {
  epoch_started_ = saved_ = Clock::now();
  optimizer_->set_learning_rate(schedule_.at(counters_.epoch));
  distiller_->begin_epoch(counters_.epoch);
  if (counters_.batch == 0) totals_->clear();
  loader_->begin_epoch(counters_.epoch, counters_.batch);
  show(counters_.batch);
  StoredTeacher* const stored = teacher_ ? teacher_->stored() : nullptr;
  while (const HostBatch* host = loader_->next()) {
    const Tensor teacher_logits = stored ? stored->logits(*host) : Tensor{};
    step(batch_->upload(*host), teacher_logits);
    if (profile_) profiled_step();
    if (++counters_.batch == loader_->batches()) break;  // the epoch is finished before anything else is done
    if (stop_.received()) return false;
    if (seconds_since(shown_) > 0.1) {
      show(counters_.batch);
      shown_ = Clock::now();
    }
    if (seconds_since(saved_) > 60 * settings_.checkpoint_minutes) {
      save(false);
      saved_ = Clock::now();
    }
  }
  return true;
}

void Trainer::finish_epoch() {
  const MetricTotals::Values sums = checked_totals();
  const double images = double(loader_->samples());
  const auto activity = [&](int64_t done, int64_t total) { progress_.activity("testing", done, total); };
  const Evaluation e = test_->run(activity);
  const double score = validation_ ? validation_->run(activity).top1 : e.top1;

  EpochMetrics row{.epoch = counters_.epoch,
                   .lr = schedule_.at(counters_.epoch),
                   .train_loss = sums.loss / images,
                   .train_acc = 100 * sums.top1 / images,
                   .test_loss = e.loss,
                   .test_acc = e.top1,
                   .test_acc_top5 = e.top5,
                   .seconds = counters_.epoch_seconds + seconds_since(epoch_started_),
                   .terms = {}};
  for (double sum : sums.terms) row.terms.push_back(sum / images);
  csv_->append(row);
  events_->add(counters_.epoch, {{"train_loss", row.train_loss},
                                 {"train_acc", row.train_acc},
                                 {"test_loss", row.test_loss},
                                 {"test_acc", row.test_acc},
                                 {"test_acc_top5", row.test_acc_top5}});
  write_learning_curves(folder_.plots() / "curves.svg", run_name(settings_), {{"", csv_->table()}});
  progress_.epoch(row, settings_.epochs);

  counters_.last = EpochResult{counters_.epoch, e.top1, e.top5, e.loss};
  const bool best = score > counters_.best_score;
  if (best) {
    counters_.best_score = score;
    counters_.best = counters_.last;
  }
  // The checkpoint stands at the beginning of the next epoch.
  const Counters now = counters_;
  counters_.batch = 0;
  counters_.totals = {};
  counters_.epoch_seconds = 0;
  ++counters_.epoch;
  totals_->clear();
  epoch_started_ = Clock::now();
  save(best);
  counters_.epoch = now.epoch;
  write_summary_now("running");
}

void Trainer::save(bool best) {
  if (tuning_ && tuning_->record() != tuning_record_) {  // before a checkpoint that depends on it
    tuning_record_ = tuning_->record();
    write_file(folder_.convolutions(), tuning_record_);
    folder_.log(text("convolutions: ", tuning_->measured(), " measured; the choices are in ",
                     folder_.convolutions().filename().string()));
  }
  Counters c = counters_;
  c.totals = checked_totals();
  c.seconds = seconds();
  if (c.batch > 0) c.epoch_seconds += seconds_since(epoch_started_);
  std::map<std::string, std::string> metadata;
  metadata["mean"] = mean_text(student_sees_);
  metadata["std"] = deviation_text(student_sees_);
  metadata["data"] = data_.name;
  metadata["epoch"] = std::to_string(c.last ? c.last->epoch : 0);
  if (c.last) metadata["top1"] = exact_decimal(c.last->top1);
  const TrainingState state{*student_, *distiller_, *optimizer_, *device_};
  save_checkpoint(folder_.last(), folder_.previous(), state, c, metadata);
  if (best) save_checkpoint(folder_.best(), {}, state, c, metadata);
}

void Trainer::write_summary_now(const std::string& status) {
  Summary s;
  s.status = status;
  s.command = settings_.command;
  s.model = settings_.model;
  s.teacher = settings_.teacher;
  s.method = settings_.method.method().name;
  s.data = settings_.data.spec;
  s.device = settings_.device;
  s.seed = settings_.seed;
  s.views = settings_.data.views;
  s.epochs = settings_.epochs;
  s.epochs_done = counters_.last ? counters_.last->epoch : 0;
  s.seconds = seconds();
  s.best_by = validation_ ? "validation" : "test";
  s.best = counters_.best;
  s.last = counters_.last;
  if (status == "finished" || status == "stopped")
    s.weights_hash = weights_hash(state_of(*student_, *device_));
  write_summary(folder_.summary(), s);
}

}  // namespace

Summary train(const RunSettings& settings, const DataSet& data, const RunFolder& folder, bool resume,
              Progress& progress, const StopSignal& stop, const std::vector<std::string>& arguments,
              bool profile) {
  return Trainer(settings, data, folder, progress, stop, profile).run(resume, arguments);
}

}  // namespace retort
