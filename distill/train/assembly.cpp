#include "distill/train/assembly.h"

#include <optional>

#include "distill/evaluate/seen_by.h"
#include "distill/methods/loss_probe.h"
#include "distill/methods/pcd.h"
#include "distill/run/named_weights.h"
#include "distill/settings/data_options.h"
#include "distill/teacher/class_similarity.h"
#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "distill/train/settled_data.h"
#include "distill/train/shard_rules.h"
#include "distill/train/smallest_batch.h"
#include "distill/train/start_weights.h"
#include "distill/train/tasks/classification_task.h"
#include "distill/train/tasks/detection_task.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"

namespace retort {

Assembly::Assembly(const RunSettings& resolved, const DataSet& images, Progress& progress,
                   const AssemblyOptions& options)
    : settings(resolved), data(images), config(options.config), world(options.world) {
  check(!settings.model.empty(), Fault::usage, "train: no model is named (--model, or --student)");
  settle_data(settings.data, data.train);
  const int processes = world ? world->size() : 1;
  if (settings.shards == 0) settings.shards = processes;
  if (world) world->transport().set_time_limit(settings.comm_timeout);
  if (world) world->set_reduce(settings.reduce == "fast" ? Reduce::fast : Reduce::ordered);
  check_boxes(settings, data);
  if (!data.boxes) check_photos(settings, data.train);
  const int64_t compared = compared_classes(settings, data);
  check_method(settings.method, compared);
  const std::string fitted = fit_stages(settings.method, compared);
  open_device(options);
  make_networks(progress, options);
  if (!data.boxes) split_images(options);
  if (const std::string line = shards_note(settings); !line.empty() && !options.check_only)
    log.push_back(line);
  make_method(progress, options);
  if (!options.check_only) {  // what could be wrong with the settings has been found by now
    for (const std::string& note : options.notes) progress.note(note);
    if (!fitted.empty()) {
      progress.note(fitted);
      log.push_back(fitted);
    }
    if (teacher) teacher->test();
  }
  make_task(options.check_only);
}

void Assembly::open_device(const AssemblyOptions& options) {
  if (options.profile) profile = std::make_unique<Profile>();
  if (settings.tune) {
    const std::filesystem::path cache = cache_folder();
    tuning = std::make_unique<ConvTuning>(cache.empty() ? cache : cache / "convolutions");
    // A run that goes on computes its convolutions as it did.
    if (!options.convolutions.empty()) tuning->continue_with(options.convolutions, options.record_name);
  }
  check(!world || !settings.tune, Fault::usage, "--tune measures in one process, and there are ",
        world ? world->size() : 1, ": each would choose its own convolutions");
  settings.device = resolved_device(settings.device);
  if (settings.precision == "auto") settings.precision = name_of(default_precision(settings.device));
  device = Device::open({.name = settings.device,
                         .threads = settings.threads,
                         .precision = precision_named(settings.precision),
                         .capture = !settings.eager,
                         .tuning = tuning.get(),
                         // Each process would choose its own; and boxes come in pictures of a hundred
                         // sizes, each of which would be measured anew.
                         .measures = settings.shards <= 1 && !data.boxes,
                         .plans = world && world->rank() > 0 ? "" : options.plans,
                         .profile = profile.get()});
}

void Assembly::make_networks(Progress& progress, const AssemblyOptions& options) {
  const auto tell = [this, &progress, check_only = options.check_only](const std::string& line) {
    if (check_only) return;
    progress.note(line);
    logger ? logger(line) : log.push_back(line);
  };
  const auto make_teacher = [&] {
    teacher = std::make_unique<Teacher>(settings, data, *device, progress, tell, options.untrained_teacher);
  };
  const MethodInfo::Reads& reads = settings.method.method().reads;
  if (reads.borrows_classifier) make_teacher();  // the student is made of a part of it
  student = make_student(settings, teacher ? &teacher->model() : nullptr, data.train, *device);
  initialize(*student, *device, settings.seed);
  borrow_classifier(*student, teacher ? &teacher->model() : nullptr, *device);
  Weights init;
  if (!settings.init.empty() && !options.goes_on) {
    init = read_weights(settings.init);
    const std::string line = load_start(settings, init, *student, *device);
    if (!line.empty()) tell(line);
  }
  if (!options.untrained_teacher) settle_numbers(settings, init, data.train);
  student_sees = settled_numbers(init, settings.data.mean, settings.data.std, data.train, tell);
  if (!reads.teacher) return;
  if (!teacher) make_teacher();
  if (!(teacher->sees() == student_sees))
    tell(text("images are normalised for the teacher with ", text_of(teacher->sees()),
              ", for the student with ", text_of(student_sees)));
}

// Which of a classifier's images are trained on; a detector's loader knows which of its pictures have boxes.
void Assembly::split_images(const AssemblyOptions& options) {
  split = split_samples(data.train.size(), settings.data.limit, settings.data.validation, settings.seed);
  check_shards(settings, int64_t(split.train.size()), world ? world->size() : 1);
  if (options.goes_on) return;
  check_smallest_batch(settings, data.train, split.train, teacher ? &teacher->model() : nullptr);
  if (const std::string line = limit_note(settings.data, data.train, split.train);
      !line.empty() && !options.check_only)
    log.push_back(line);
}

void Assembly::make_method(Progress& progress, const AssemblyOptions& options) {
  MethodContext context = method_context(settings, *student, teacher ? &teacher->model() : nullptr, *device,
                                         data.train, split.train);
  const bool asks = !options.check_only && !options.goes_on;  // a checkpoint holds it
  if (settings.method.method().reads.class_similarity && asks) {
    context.class_similarity = class_similarity(
        teacher->model(), *device, data.train, split.train, teacher->sees(),
        [&](int64_t done, int64_t total) { progress.activity("comparing classes", done, total); });
  }
  distiller = make_distiller(settings.method, *device, context);
  initialize(*distiller, *device, settings.seed);
  if (settings.loss.label_smoothing > 0) distiller->smooth_labels(settings.loss.label_smoothing);
  std::optional<double> delta;
  if (settings.optimizer.kind == "dot") delta = settings.optimizer.delta;
  const bool scaled = precision_named(settings.precision) == Precision::fp16;
  optimizer = std::make_unique<Sgd>(
      *device,
      learned_parameters(*student, *distiller, trains_in_16_bits(settings) ? device.get() : nullptr,
                         DeviceBatch::draws(*device, data.train)),
      SgdOptions{.learning_rate = settings.optimizer.lr,
                 .momentum = settings.optimizer.momentum,
                 .weight_decay = settings.optimizer.weight_decay,
                 .norm_decay = settings.optimizer.norm_decay,
                 .loss_scaling = scaled,
                 .nesterov = settings.optimizer.nesterov,
                 .dot_delta = delta});
  average = std::make_unique<WeightAverage>(*device, *optimizer, settings.ema.decay);
}

void Assembly::make_task(bool check_only) {
  if (teacher && !check_only) {
    const std::string line = teacher->choose_source(split.train);
    if (!line.empty()) log.push_back(line);
  }
  const TaskParts parts{.device = *device,
                        .student = *student,
                        .distiller = *distiller,
                        .optimizer = *optimizer,
                        .average = *average,
                        .teacher = teacher.get(),
                        .data = data,
                        .settings = settings,
                        .student_sees = student_sees,
                        .world = world};
  task = data.boxes ? make_detection_task(parts) : make_classification_task(parts, split);
  schedule = schedule_of(settings, task->batches());
}

}  // namespace retort
