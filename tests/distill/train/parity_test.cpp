// Two epochs of training with each method against what PyTorch makes of the same weights and images, see
// tests/data/parity.py.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "distill/train/checkpoint.h"
#include "distill/train/run_context.h"
#include "distill/train/step.h"
#include "tests/support/class_similarity.h"
#include "tests/support/fill_by_rule.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

// What a method learns, by the rule of parity.py; what it remembers stays as it is.
void fill_learned(Distiller& distiller, Device& device) {
  std::vector<HostTensor> state = state_of(distiller, device);
  for (HostTensor& t : state) {
    const bool norm_weight = ends_with(t.name, "bn.weight"), norm_bias = ends_with(t.name, "bn.bias");
    const bool convolution = t.shape.size() == 4;
    if (!convolution && !norm_weight && !norm_bias && !ends_with(t.name, "rho")) continue;
    int64_t count = 1;
    for (const int64_t extent : t.shape) count *= extent;
    const double scale = convolution ? weight_scale(count / t.shape[0]) : 0.25;
    const double shift = convolution || norm_bias ? 0 : 1;
    const std::vector<double> values = closed_values("learned." + t.name, count, scale, shift);
    t.type = DType::f64;
    t.data.resize(values.size() * sizeof(double));
    std::copy_n(reinterpret_cast<const std::byte*>(values.data()), t.data.size(), t.data.data());
  }
  load_state(distiller, device, state, "the closed formula");
}

class Training {
 public:
  Training(Device& device, const json& file, const json& c)
      : device_(device), batch_(file["batch"]), count_(file["count"]), epochs_(file["epochs"]) {
    RunSettings settings = default_settings("distill");
    settings.model = "resnet8";
    settings.method = method_settings(std::string(c["method"]));
    settings.epochs = 240;
    teacher_ = make_model("resnet14", device_, {.classes = classes});
    fill_by_rule(*teacher_, device_);
    freeze(*teacher_);
    ImageSet images;
    images.classes = int(classes);
    student_ = make_student(settings, teacher_.get(), images, device_);
    fill_by_rule(*student_, device_);
    borrow_classifier(*student_, teacher_.get(), device_);
    MethodContext context = method_context(settings, *student_, teacher_.get(), device_, images, {});
    if (settings.method.method().reads.class_similarity)
      context.class_similarity = some_class_similarity(classes);
    distiller_ = make_distiller(settings.method, device_, context);
    initialize(*distiller_, device_, 1);
    fill_learned(*distiller_, device_);
    fold_batch_norms(*teacher_, device_);
    std::optional<double> delta;
    if (c["dot"]) delta = 0.075;
    optimizer_ = std::make_unique<Sgd>(device_, learned_parameters(*student_, *distiller_),
                                       SgdOptions{.learning_rate = c["lr"], .dot_delta = delta});
    step_ = std::make_unique<TrainingStep>(
        StepParts{.device = device_,
                  .student = *student_,
                  .distiller = *distiller_,
                  .optimizer = *optimizer_,
                  .teacher = settings.method.method().reads.teacher ? teacher_.get() : nullptr});
    views_ = views_read(settings.method);
    const int64_t size = count_ * 32 * 32 * 3;
    images_ = formula_values(file["images"], size);
    strong_ = formula_values(file["strong"], size);
    on_device_ = device_.persistent({batch_, 32, 32, 3}, DType::f32);
    strong_on_device_ = device_.persistent({batch_, 32, 32, 3}, DType::f32);
    labels_ = device_.persistent({batch_}, DType::i32);
  }

  // The mean loss of each epoch.
  std::vector<double> train() {
    std::vector<double> means;
    for (int epoch = 1; epoch <= epochs_; ++epoch) {
      distiller_->begin_epoch(epoch);
      step_->totals().clear();
      for (int64_t first = 0; first < count_; first += batch_) step_->run(batch(first));
      means.push_back(step_->totals().read().loss / double(count_));
    }
    return means;
  }

  std::vector<double> weights(const std::string& name) {
    for (const HostTensor& t : state_of(*student_, device_)) {
      if (t.name == name) return {t.values<float>().begin(), t.values<float>().end()};
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }

 private:
  static constexpr int64_t classes = 100;

  Batch batch(int64_t first) {
    const int64_t of_image = 32 * 32 * 3;
    const auto part = [&](const std::vector<double>& all) {
      return std::vector<double>(all.begin() + first * of_image, all.begin() + (first + batch_) * of_image);
    };
    write_values(device_, on_device_, part(images_));
    write_values(device_, strong_on_device_, part(strong_));
    std::vector<int32_t> labels;
    for (int64_t n = first; n < first + batch_; ++n) labels.push_back(int32_t(7 * n % classes));
    device_.backend().upload(labels_, labels.data());
    Batch of_images;
    of_images.images = of_images.other_images = on_device_.tensor;
    of_images.labels = of_images.indices = labels_.tensor;
    if (views_ == 2) of_images.strong = of_images.other_strong = strong_on_device_.tensor;
    return of_images;
  }

  Device& device_;
  int64_t batch_, count_;
  int epochs_, views_ = 1;
  std::unique_ptr<Model> teacher_, student_;
  std::unique_ptr<Distiller> distiller_;
  std::unique_ptr<Sgd> optimizer_;
  std::unique_ptr<TrainingStep> step_;
  std::vector<double> images_, strong_;
  Array on_device_, strong_on_device_, labels_;
};

class Parity : public ::testing::TestWithParam<std::string> {};

TEST_P(Parity, OfTwoEpochsWithEachMethod) {
  const json& file = reference_file("parity.json");
  const auto device = Device::open({.name = GetParam(), .threads = 2});
  int compared = 0;
  for (const json& c : file["cases"]) {
    SCOPED_TRACE(text(std::string(c["method"]), c["dot"] ? ", two momenta" : ""));
    Training run(*device, file, c);
    const std::vector<double> losses = run.train();
    const double tolerance = std::max(2e-5, 3 * double(c["rounding"]));
    for (size_t e = 0; e < losses.size(); ++e) {
      const double expected = c["losses"][e];
      EXPECT_NEAR(losses[e], expected, tolerance * std::abs(expected)) << "epoch " << e + 1;
    }
    for (const char* name : {"conv1", "fc"}) {
      const std::vector<double> values = run.weights(std::string(name) + ".weight");
      const std::vector<double> probe = closed_values("probe", int64_t(values.size()));
      double abs_sum = 0, seen = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        abs_sum += std::abs(values[i]);
        seen += values[i] * probe[i];
      }
      const double expected = c[name][0];
      EXPECT_NEAR(abs_sum, expected, tolerance * expected) << name;
      EXPECT_NEAR(seen, double(c[name][1]), tolerance * expected) << name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 25);
}

INSTANTIATE_TEST_SUITE_P(Devices, Parity, ::testing::ValuesIn(available_devices()),
                         [](const auto& device) { return device.param; });

}  // namespace
}  // namespace retort::testing
