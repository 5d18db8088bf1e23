#include "bench/step_runner.h"

#include "engine/random.h"

namespace retort {

namespace {

class MacCounter : public LayerObserver {
 public:
  void on_call(const LayerCall& call) override { macs += call.macs; }
  int64_t macs = 0;
};

int64_t macs_of(Model& model, Device& device) {
  MacCounter counter;
  Pass pass{device};
  pass.observer = &counter;
  {
    const Var image = pass.make({1, model.side, model.side, 3}, DType::f32);
    device.backend().fill(image, 0.5);
    model(image, pass);
  }
  device.step_arena().rewind();
  return counter.macs;
}

}  // namespace

StepRunner::StepRunner(const StepOptions& options)
    : options_(options), device_(Device::open({.name = options.device, .threads = options.threads})) {
  student_ = make_model(options.model, *device_, {.classes = options.classes});
  initialize(*student_, *device_, 1);
  macs_ = macs_of(*student_, *device_) * (options.eval ? 1 : 3);
  if (!options.teacher.empty()) {
    teacher_ = make_model(options.teacher, *device_, {.classes = options.classes});
    initialize(*teacher_, *device_, 2);
    freeze(*teacher_);
    macs_ += macs_of(*teacher_, *device_);
    fold_batch_norms(*teacher_, *device_);
  }
  distiller_ = make_distiller(MethodSettings(options.method), *device_);
  distiller_->begin_epoch(1000);  // past any warm-up
  optimizer_ = std::make_unique<Sgd>(*device_, parameters_of(*student_), SgdOptions{});
  if (options.eval) fold_batch_norms(*student_, *device_);
  graph_ = std::make_unique<StepGraph>(*device_);

  images_ = device_->persistent({options.batch, student_->side, student_->side, 3}, DType::f32);
  labels_ = device_->persistent({options.batch}, DType::i32);
  std::vector<double> pixels;
  for (int64_t i = 0; i < images_.tensor.size(); ++i) {
    pixels.push_back(2 * double(random_unit(random4(3, Purpose::weights, 0, uint32_t(i), 0).v[0])) - 1);
  }
  write_values(*device_, images_, pixels);
  std::vector<int32_t> labels(static_cast<size_t>(options.batch));
  for (int64_t i = 0; i < options.batch; ++i) labels[size_t(i)] = int32_t(i * 7 % options.classes);
  device_->backend().upload(labels_, labels.data());
}

void StepRunner::run() {
  graph_->run(options_.batch, [&] {
    const Var images(images_.tensor);
    if (options_.eval) {
      (*student_)(images, Pass{*device_});
      return;
    }
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Var teacher = teacher_ ? (*teacher_)(images, Pass{*device_}) : Var();
    const Var logits = (*student_)(images, pass);
    tape.backward(total(distiller_->terms({{logits, teacher}, Var(labels_)}, pass), pass));
    optimizer_->step();
  });
  device_->backend().synchronise();
}

}  // namespace retort
