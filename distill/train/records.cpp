#include "distill/train/records.h"

#include "distill/evaluate/seen_by.h"
#include "distill/run/curves_svg.h"
#include "distill/run/profile_report.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/text_format.h"
#include "distill/train/checkpoint.h"
#include "distill/train/processes.h"
#include "distill/train/run_header.h"
#include "engine/base/atomic_file.h"
#include "engine/base/file.h"

namespace retort {

namespace {

// Steps of --profile, and those before it.
constexpr int64_t measured_steps = 20, warm_up_steps = 5;

// "resnet8, pcd, seed 1"
std::string run_name(const RunSettings& s) {
  return text(s.model, s.teacher.empty() ? "" : ", " + s.method.method().name, ", seed ", s.seed);
}

}  // namespace

RunRecords::RunRecords(Assembly& run, const RunFolder& folder, Progress& progress)
    : run_(run), writes_(!run.world || run.world->rank() == 0), folder_(folder), progress_(progress) {
  if (!writes_) return;
  if (run_.tuning) convolutions_ = read_text_if_readable(folder_.convolutions()).value_or("");
  run_.device->backend().keep_plans(folder_.plans().string());
  for (const std::string& line : run_.log) folder_.log(line);
  run_.logger = [&folder](const std::string& line) { folder.log(line); };
}

void RunRecords::log(const std::string& line) const {
  if (writes_) folder_.log(line);
}

void RunRecords::tell(const std::string& line) const {
  progress_.note(line);
  log(line);
}

void RunRecords::begin(bool resume, bool bound, const Binding& binding,
                       const std::vector<std::string>& arguments) {
  if (run_.world) {
    const std::string processes = processes_text(run_);  // all are asked
    tell(processes);
  }
  if (!writes_) return;
  // First: with it the folder can be resumed. Before the first checkpoint that is bound to it.
  if (!run_.config.empty())
    write_file(folder_.config(), sealed(run_.config));
  else if (!bound)
    write_file(folder_.config(), sealed(settings_toml(run_.settings)));
  Environment environment = this_environment();
  environment.device = run_.settings.device;
  environment.devices.push_back(run_.device->backend().description());
  environment.libraries = libraries_of(environment.devices.back());
  if (run_.world) environment.libraries["processes"] = exchange_library(run_);
  environment.arguments = arguments;
  environment.seed = run_.settings.seed;
  environment.data = run_.settings.data.spec;
  environment.data_hash = binding.data;
  environment.teacher_hash = binding.teacher;
  environment.normalization["student"] = text_of(run_.student_sees);
  if (run_.teacher) environment.normalization["teacher"] = text_of(run_.teacher->sees());
  try {
    write_environment(folder_.environment(), environment, resume);
  } catch (const Error& error) {
    if (error.fault() != Fault::input) throw;
    tell(text(error.what(), "; it is written anew"));
    write_environment(folder_.environment(), environment, false);
  }
  for (const std::string& line : header()) log(line);
  const int64_t images = run_.task->images(), batch = run_.settings.batch;
  if (batch > images)
    tell(text(
        "batch ", batch, " is more than the ", counted(images, "training image"),
        run_.data.boxes ? ": a step has at most all wide or all tall ones" : ": every step has them all"));
  if (const std::string note = long_warmup_note(run_.schedule); !note.empty()) tell(note);
}

std::vector<std::string> RunRecords::header() const {
  return run_header(run_, folder_.path());
}

void RunRecords::open_tables(const std::vector<std::string>& terms, int epoch, const MetricsTable& known) {
  csv_ = std::make_unique<MetricsCsv>(folder_.metrics(), run_.task->metrics(), terms, epoch, &known);
  events_ = std::make_unique<TensorBoard>(folder_.tensorboard(), epoch);
  events_->add_text(epoch, "settings", settings_toml(run_.settings));
  terms_ = terms;
}

void RunRecords::add_epoch(const EpochMetrics& row, double images_per_second) {
  if (!writes_) return;
  csv_->append(row);
  events_->add(row.epoch, scalars_of(row, terms_, images_per_second));
  write_learning_curves(
      folder_.plots() / "curves.svg", run_name(run_.settings),
      {{.label = "", .metrics = csv_->table(), .labels_weight = labels_weight_of(run_.settings.method)}});
  progress_.epoch(row, run_.settings.epochs);
}

Summary RunRecords::write_summary(const std::string& status, const Counters& counters, double seconds) const {
  Summary summary = summary_of(run_.settings, counters);
  summary.status = status;
  summary.seconds = seconds;
  if (status == "finished" || status == "stopped")
    summary.weights_hash = weights_hash(state_of(*run_.student, *run_.device));
  if (run_.teacher) summary.teacher_hash = run_.teacher->hash();
  summary.metrics = run_.task->metrics();
  summary.bad_pictures = run_.task->bad_pictures().count;
  if (writes_) retort::write_summary(folder_.summary(), summary);
  return summary;
}

void RunRecords::write_convolutions() {
  if (!writes_ || !run_.tuning || run_.tuning->record() == convolutions_) return;
  convolutions_ = run_.tuning->record();
  write_file(folder_.convolutions(), convolutions_);
  log(text("convolutions: ", run_.tuning->measured(), " measured; the choices are in ",
           folder_.convolutions().filename().string()));
}

void RunRecords::profiled_step() {
  if (!run_.profile) return;
  ++profiled_steps_;
  if (profiled_steps_ == warm_up_steps) return run_.profile->begin();
  if (profiled_steps_ != warm_up_steps + measured_steps) return;
  run_.profile->end();
  const Peak peak = run_.settings.device == "cuda" ? Peak{} : measure_peak(run_.settings.threads);
  write_file(folder_.profile(), profile_trace(*run_.profile));
  progress_.note(profile_text(*run_.profile, measured_steps, peak));
  progress_.note(text("trace: ", folder_.profile().string(), " (chrome://tracing, ui.perfetto.dev)"));
  run_.profile->clear();
}

void RunRecords::finish(const StoredTeacher* stored) const {
  if (stored && stored->asked() > 0) {
    log(text("teacher table: had ", stored->found(), " of ", stored->asked(), " logits, ",
             fixed(100 * double(stored->found()) / double(stored->asked()), 1), " %; the teacher was asked ",
             counted(stored->asked() - stored->found(), "time")));
  }
  if (run_.profile && profiled_steps_ < warm_up_steps + measured_steps)
    progress_.note(text("no profile: the run had ", profiled_steps_, " steps, ",
                        warm_up_steps + measured_steps, " are needed"));
  if (run_.world) log(exchange_text(*run_.world));
  log("finished");
}

}  // namespace retort
