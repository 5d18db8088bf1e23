#include "bench/step_runner.h"

#include <unistd.h>

#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "engine/random.h"
#include "engine/types.h"

namespace retort {

namespace {

double uniform(uint64_t seed, int64_t i) {
  return 2 * double(random_unit(random4(seed, Purpose::weights, 0, uint32_t(i), 0).v[0])) - 1;
}

std::vector<double> uniform_values(uint64_t seed, int64_t count, double scale) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(scale * uniform(seed, i));
  return values;
}

// What a method learns of a set of as many images as CIFAR-100 has, and likenesses of classes that fall with
// the difference of their numbers.
MethodContext context_of(const RunSettings& settings, Model& student, Model* teacher, Device& device,
                         ImageSet set) {
  const MethodInfo::Reads& reads = settings.method.method().reads;
  check(teacher || !reads.teacher, Fault::usage, "--method ", settings.method.method().name,
        " needs a --teacher");
  std::vector<int32_t> samples;
  for (int32_t i = 0; reads.indices && i < 50'000; ++i) {
    set.labels.push_back(i * 7 % set.classes);
    samples.push_back(i);
  }
  MethodContext context = method_context(settings, student, teacher, device, set, samples);
  for (size_t i = 0; i < context.class_similarity.size(); ++i) {
    const int row = int(i) / set.classes, column = int(i) % set.classes;
    context.class_similarity[i] = 1 - std::abs(row - column) / 10.0;
  }
  return context;
}

}  // namespace

StepRunner::StepRunner(const StepOptions& options)
    : options_(options),
      device_(Device::open({.name = options.device,
                            .threads = options.threads,
                            .precision = precision_named(options.precision),
                            .capture = !options.eager,
                            .profile = &profile_})) {
  graph_ = std::make_unique<StepGraph>(*device_);
  labels_ = device_->persistent({options.batch}, DType::i32);
  host_labels_.resize(size_t(options.batch));
  for (int64_t i = 0; i < options.batch; ++i) host_labels_[size_t(i)] = int32_t(i * 7 % options.classes);
  device_->backend().upload(labels_, host_labels_.data());
  options.loss ? prepare_logits() : prepare_nets();
  distiller_->begin_epoch(150);  // past any warm-up, before any decay
  if (options.table) prepare_table();
}

StepRunner::~StepRunner() {
  table_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void StepRunner::prepare_logits() {
  distiller_ = make_distiller(method_settings(options_.method), *device_);
  const Shape shape{options_.batch, options_.classes};
  student_logits_ = device_->persistent(shape, DType::f32);
  teacher_logits_ = device_->persistent(shape, DType::f32);
  write_values(*device_, student_logits_, uniform_values(4, shape.size(), 8));
  write_values(*device_, teacher_logits_, uniform_values(5, shape.size(), 8));
}

void StepRunner::prepare_nets() {
  RunSettings settings = default_settings("distill");
  settings.model = options_.model;
  settings.method = method_settings(options_.method);
  settings.precision = name_of(device_->precision());
  if (options_.dot) settings.optimizer.kind = "dot";
  settings.epochs = 240;
  ImageSet shape;  // of no images
  shape.classes = int(options_.classes);
  if (!options_.teacher.empty()) {
    teacher_ = make_model(options_.teacher, *device_, {.classes = options_.classes});
    initialize(*teacher_, *device_, 2);
    freeze(*teacher_);
    fold_batch_norms(*teacher_, *device_);
  }
  student_ = make_student(settings, teacher_.get(), shape, *device_);
  initialize(*student_, *device_, 1);
  borrow_classifier(*student_, teacher_.get(), *device_);
  distiller_ = make_distiller(settings.method, *device_,
                              context_of(settings, *student_, teacher_.get(), *device_, shape));
  initialize(*distiller_, *device_, 1);
  const bool narrow = !options_.eval && trains_in_16_bits(settings);  // as a run
  const DType images = narrow ? image_type(device_->precision()) : DType::f32;
  SgdOptions rates{.learning_rate = 1e-4,  // random images are no reason to diverge
                   .loss_scaling = device_->precision() == Precision::fp16};
  if (options_.dot) rates.dot_delta = 0.075;
  optimizer_ = std::make_unique<Sgd>(
      *device_, learned_parameters(*student_, *distiller_, narrow ? device_.get() : nullptr, true), rates);
  if (options_.eval) {
    fold_batch_norms(*student_, *device_);
    evaluate_ = std::make_unique<SlicedForward>(
        *student_, *device_, options_.whole ? 0 : images_per_slice(*student_, *device_, options_.threads));
  }
  if (!options_.eval) {
    step_ = std::make_unique<TrainingStep>(StepParts{.device = *device_,
                                                     .student = *student_,
                                                     .distiller = *distiller_,
                                                     .optimizer = *optimizer_,
                                                     .teacher = teacher_.get()});
  }
  // As a run's batches are.
  images_ = device_->persistent(
      {options_.batch, student_->side, student_->side, narrow ? padded_image_channels : 3}, images);
  std::vector<double> pixels = uniform_values(3, images_.tensor.size(), 1);
  for (size_t i = 0; narrow && i < pixels.size(); ++i)
    if (int64_t(i) % padded_image_channels >= 3) pixels[i] = 0;
  write_values(*device_, images_, pixels);
  std::vector<int32_t> numbers;
  for (int32_t i = 0; i < int32_t(options_.batch); ++i) numbers.push_back(i);
  numbers_ = device_->persistent({options_.batch}, DType::i32);
  device_->backend().upload(numbers_, numbers.data());
  if (views_read(settings.method) < 2) return;
  strong_ = device_->persistent({options_.batch, student_->side, student_->side, 3}, DType::f32);
  write_values(*device_, strong_, uniform_values(6, strong_.tensor.size(), 1));
}

void StepRunner::prepare_table() {
  check(teacher_ != nullptr, Fault::usage, "a table needs --teacher");
  const int64_t side = student_->side, n = options_.batch;
  set_.height = set_.width = int(side);
  set_.classes = int(options_.classes);
  set_.images.resize(size_t(n * side * side * 3), 100);
  set_.labels = host_labels_;
  host_images_.resize(size_t(n * side * side * 3));
  for (int64_t i = 0; i < n; ++i) {
    indices_.push_back(int32_t(i));
    views_.push_back(int32_t(i % view_count));
  }
  folder_ = std::filesystem::temp_directory_path() / text("retort-bench-", ::getpid());
  RunSettings settings = default_settings("distill");
  settings.batch = n;
  settings.precision = name_of(device_->precision());
  settings.method = method_settings(options_.method);
  settings.teacher_table.folder = folder_.string();
  table_ = std::make_unique<StoredTeacher>(*teacher_, *device_, set_, normalize_of(set_), n, settings,
                                          [](const std::string&) {});
  table_->open(indices_);
  if (!table_->usable(n))
    table_refused_ = "a sample's logits depend on its place in the batch: the teacher is asked in every step";
}

void StepRunner::run() {
  run_chain(1);
}

void StepRunner::run_chain(int steps) {
  for (int i = 0; i < steps; ++i) enqueue();
  device_->backend().synchronise();
}

void StepRunner::enqueue() {
  Tensor from_table;
  if (table_) {
    from_table = table_->logits(
        {options_.batch, host_images_.data(), host_labels_.data(), indices_.data(), views_.data()});
  }
  const Var images(images_.tensor);
  if (step_) {
    Batch batch;
    batch.images = batch.other_images = images_.tensor;
    batch.labels = labels_.tensor;
    batch.indices = numbers_.tensor;
    batch.strong = batch.other_strong = strong_.tensor;
    step_->run(batch, from_table);
  } else if (options_.eval) {
    graph_->run(options_.batch, [&] { (*evaluate_)(images); });
  } else {
    graph_->run(options_.batch, [&] {
      Tape tape(*device_);
      const Pass pass{*device_, &tape, true};
      const DistillInputs inputs{{tape.leaf(student_logits_), Var(teacher_logits_)}, Var(labels_)};
      tape.backward(total(distiller_->distillation_terms(inputs, pass), pass));
    });
  }
}

const Profile& StepRunner::profiled_step() {
  profile_.clear();
  profile_.begin();
  run();
  profile_.end();
  return profile_;
}

StepWork StepRunner::work(const Peak& peak) {
  profiled_step();
  StepWork work;
  work.kernels = profile_.calls().size();
  for (const ProfiledCall& call : profile_.calls()) {
    work.flops += call.flops;
    work.bytes += call.bytes;
    work.floor += peak.floor(call.flops, call.bytes);
  }
  return work;
}

}  // namespace retort
