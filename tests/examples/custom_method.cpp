// A distillation method that lives outside the library: the mean squared difference of the logits (Ba and
// Caruana, arXiv:1312.6184), with its own settings. It needs plain ops only, and gets gradients,
// cross-entropy and warm-up from the library.
#include <cmath>
#include <cstdio>

#include "distill/train/step.h"
#include "models/model.h"

using namespace retort;

class LogitMatching : public Distiller {
 public:
  LogitMatching(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), weight_(settings.number("weight")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Logits z = prepared(inputs.logits, pass);
    const Var difference = sub(pass, z.student, z.teacher);
    return {{"match", affine(pass, mean_all(pass, square(pass, difference)), weight_)}};
  }

 private:
  double weight_;
};

MethodInfo logit_matching() {
  std::vector<MethodKey> keys = common_keys("0", "0");
  keys.push_back({"weight", MethodKey::number, "1", "weight of the squared difference"});
  return {"match", "Logit matching", "arXiv:1312.6184", {}, keys, nullptr};
}

int main() {
  const auto device = Device::open({.threads = 1});
  const auto teacher = make_model("resnet8", *device, {.classes = 10});
  const auto student = make_model("resnet8", *device, {.classes = 10});
  initialize(*teacher, *device, 1);
  initialize(*student, *device, 2);
  freeze(*teacher);

  const MethodInfo info = logit_matching();
  MethodSettings settings(info);
  settings.set("weight", "2");
  LogitMatching method(settings, *device);
  Sgd sgd(*device, parameters_of(*student), {.learning_rate = 0.05});

  constexpr int64_t batch = 8;
  const Array images = device->persistent({batch, 32, 32, 3}, DType::f32),
              labels = device->persistent({batch}, DType::i32, 0);
  std::vector<double> pixels;
  for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.1 * double(i % 7919)));
  write_values(*device, images, pixels);

  Batch images_and_labels;
  images_and_labels.images = images_and_labels.other_images = images.tensor;
  images_and_labels.labels = labels.tensor;

  method.begin_epoch(1);
  TrainingStep step({.device = *device,
                     .student = *student,
                     .distiller = method,
                     .optimizer = sgd,
                     .teacher = teacher.get()});
  double first = 0, last = 0;
  for (int i = 0; i < 30; ++i) {
    step.totals().clear();
    step.run(images_and_labels);
    (i == 0 ? first : last) = step.totals().read().terms.at(0) / batch;
  }
  std::printf("match: %.4f, then %.4f\n", first, last);
  return last < 0.5 * first ? 0 : 1;
}
