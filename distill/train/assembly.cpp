#include "distill/train/assembly.h"

#include <algorithm>
#include <optional>
#include <set>

#include "distill/evaluate/seen_by.h"
#include "distill/methods/loss_probe.h"
#include "distill/run/named_weights.h"
#include "distill/teacher/class_similarity.h"
#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "distill/train/smallest_batch.h"
#include "distill/train/start_weights.h"
#include "engine/base/cache_folder.h"
#include "engine/base/check.h"

namespace retort {

Assembly::Assembly(const RunSettings& resolved, const DataSet& images, Progress& progress,
                   const AssemblyOptions& options)
    : settings(resolved), data(images), config(options.config), world(options.world) {
  check(!settings.model.empty(), Fault::usage, "train: no model is named (--model, or --student)");
  check_method(settings.method, data.train.classes);
  const int processes = world ? world->size() : 1;
  if (settings.shards == 0) settings.shards = processes;
  if (world) world->transport().set_time_limit(settings.comm_timeout);
  open_device(options);
  make_networks(progress, options);
  make_method(progress, options);
  if (!options.goes_on)
    check_smallest_batch(settings, data.train, split.train, teacher ? &teacher->model() : nullptr);
  if (!options.check_only) {  // what could be wrong with the settings has been found by now
    for (const std::string& note : options.notes) progress.note(note);
    if (teacher) teacher->test();
  }
  make_batches(options.check_only);
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
  check(!world || settings.device != "cuda", Fault::device,
        "device cuda: several processes exchange gradients in host "
        "memory; give each --device onednn or portable, or train in one process (--world off)");
  if (settings.precision == "auto") settings.precision = name_of(default_precision(settings.device));
  device = Device::open({.name = settings.device,
                         .threads = settings.threads,
                         .precision = precision_named(settings.precision),
                         .capture = !settings.eager,
                         .tuning = tuning.get(),
                         .plans = options.plans,
                         .profile = profile.get()});
}

void Assembly::make_networks(Progress& progress, const AssemblyOptions& options) {
  const auto tell = [this, &progress, check_only = options.check_only](const std::string& line) {
    if (check_only) return;
    progress.note(line);
    logger ? logger(line) : log.push_back(line);
  };
  const auto make_teacher = [&] {
    teacher = std::make_unique<Teacher>(settings, data, *device, progress, tell);
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
  student_sees = settled_numbers(init, settings.data.mean, settings.data.std, data.train, tell);
  if (!reads.teacher) return;
  if (!teacher) make_teacher();
  if (!(teacher->sees() == student_sees))
    tell(text("the teacher sees images by ", text_of(teacher->sees()), ", the student by ",
              text_of(student_sees)));
}

void Assembly::make_method(Progress& progress, const AssemblyOptions& options) {
  split = split_samples(data.train.size(), settings.data.limit, settings.data.validation, settings.seed);
  check_shards(settings, int64_t(split.train.size()), world ? world->size() : 1);
  const MethodInfo& method = settings.method.method();
  if (settings.shards > 1 && method.reads.batch && !options.check_only)
    log.push_back(text("the loss of ", method.name, " relates the images of a batch: of each of the ",
                       settings.shards, " parts that it is computed in (shards) among themselves"));
  if (settings.data.limit > 0 && !options.check_only && !options.goes_on) {
    // Folders are in the order of their classes.
    std::set<int32_t> seen;
    for (const int32_t sample : split.train) seen.insert(data.train.labels[size_t(sample)]);
    if (int64_t(seen.size()) < data.train.classes)
      log.push_back(text("data.limit leaves images of ", seen.size(), " of ", data.train.classes,
                         " classes: the first ", settings.data.limit, " in the data's order"));
  }
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
  schedule = schedule_of(settings, int64_t(split.train.size()));
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
                 .loss_scaling = scaled,
                 .nesterov = settings.optimizer.nesterov,
                 .dot_delta = delta});
  average = std::make_unique<WeightAverage>(*device, *optimizer, settings.ema.decay);
}

void Assembly::make_batches(bool check_only) {
  if (teacher && !check_only) {
    const std::string line = teacher->choose_source(split.train);
    if (!line.empty()) log.push_back(line);
  }
  // Room for as many images as a batch can have.
  const int64_t largest = std::min(settings.batch, int64_t(split.train.size()));
  LoaderOptions loading{.batch = largest,
                        .seed = settings.seed,
                        .shuffle = settings.data.shuffle,
                        .augment = augment_named(settings.data.augment),
                        .views = settings.data.views,
                        .workers = settings.data.workers,
                        .pixels = !DeviceBatch::renders(*device),
                        .strong = views_read(settings.method) == 2,
                        .normalize = student_sees,
                        .other = teacher ? teacher->images_besides(student_sees) : std::nullopt};
  if (world) {
    const int each = settings.shards / world->size();
    loading.parts = settings.shards;
    loading.first_part = each * world->rank();
    loading.end_part = loading.first_part + each;
    if (teacher && teacher->stored()) teacher->stored()->take_parts(loading.first_part, loading.end_part);
  }
  loader = std::make_unique<Loader>(data.train, split.train, loading);
  DeviceBatchOptions drawing{
      .strong = loading.strong, .normalize = loading.normalize, .other = loading.other};
  if (trains_in_16_bits(settings)) drawing.draw_for(device->precision());
  batch = std::make_unique<DeviceBatch>(*device, data.train, largest, drawing);
  step = std::make_unique<TrainingStep>(StepParts{.device = *device,
                                                  .student = *student,
                                                  .distiller = *distiller,
                                                  .optimizer = *optimizer,
                                                  .average = average.get(),
                                                  .teacher = teacher ? &teacher->model() : nullptr,
                                                  .renderer = batch.get(),
                                                  .shards = settings.shards,
                                                  .world = world});
  EvaluateOptions evaluation{.threads = settings.threads, .normalize = student_sees};
  test = std::make_unique<Evaluator>(*student, *device, data.test, evaluation);
  if (settings.data.validation == 0) return;
  evaluation.samples = split.validation;
  validation = std::make_unique<Evaluator>(*student, *device, data.train, evaluation);
}

}  // namespace retort
