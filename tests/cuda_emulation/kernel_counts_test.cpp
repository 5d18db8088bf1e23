// How many kernels a captured training step takes, where every convolution is one plan of cuDNN. A launch costs a
// microsecond or two, which for small networks is what a step is made of: a kernel more than the bound is a defect.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "datasets/open.h"
#include "distill/methods/registry.h"
#include "distill/train/step.h"
#include "models/model.h"
#include "tests/cuda_emulation/stream.h"

namespace retort {
namespace {

struct Pair {
  const char *teacher, *student;
};
constexpr Pair wide{"resnet32x4", "resnet8x4"}, deep{"resnet56", "resnet20"};

class KernelCounts : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("RETORT_EMULATED_CUDNN", "h100", 1);
    emulation::set_work_runs(false);
  }
  void TearDown() override {
    emulation::set_work_runs(true);
    unsetenv("RETORT_EMULATED_CUDNN");
  }

  // The nodes of a whole step of 64 images, as the trainer runs it.
  static std::vector<std::string> nodes(const Pair& pair, const std::string& method, Precision precision,
                                        bool table = false) {
    constexpr int64_t batch = 64;
    const auto device = Device::open({.name = "cuda", .precision = precision});
    const DataSet data = open_dataset("synthetic:train=64,test=24");
    const int64_t classes = data.train.classes;
    const auto student = make_model(pair.student, *device, {.classes = classes});
    const auto teacher = make_model(pair.teacher, *device, {.classes = classes});
    freeze(*teacher);
    fold_batch_norms(*teacher, *device);
    const auto distiller = make_distiller(method_settings(method), *device);
    Sgd optimizer(*device, parameters_of(*student), {.loss_scaling = precision == Precision::fp16});
    Loader loader(data.train, {.batch = batch, .workers = 0, .pixels = false});
    DeviceBatch batches(*device, data.train, batch);
    TrainingStep step({.device = *device,
                       .student = *student,
                       .distiller = *distiller,
                       .optimizer = optimizer,
                       .teacher = table ? nullptr : teacher.get(),
                       .renderer = &batches});
    const Array logits = device->persistent({batch, classes}, DType::f32);
    for (int i = 0; i < 4; ++i) {
      loader.begin_epoch(i + 1);
      step.run(batches.upload(*loader.next()), table ? logits.tensor : Tensor{});
    }
    std::vector<std::string> names;
    for (const emulation::Node& node : emulation::last_captured()) names.push_back(node.name);
    return names;
  }

  // Prints what a step is made of, most frequent first.
  static void show(const std::string& title, const std::vector<std::string>& nodes) {
    std::map<std::string, int> counts;
    for (const std::string& name : nodes) ++counts[name.substr(0, name.starts_with("cuDNN") ? 22 : 150)];
    std::printf("%s: %zu nodes\n", title.c_str(), nodes.size());
    if (!std::getenv("RETORT_SHOW_NODES")) return;
    for (const auto& [name, count] : counts) std::printf("  %4d  %s\n", count, name.c_str());
  }
};

struct Bound {
  Pair pair;
  const char* method;
  Precision precision;
  bool table;
  size_t most;
};

TEST_F(KernelCounts, OfAStepAreAtMostTheseMany) {
  for (const Bound& b : {Bound{wide, "kd", Precision::bf16, false, 176}, Bound{deep, "kd", Precision::bf16, false, 320},
                         Bound{wide, "kd", Precision::bf16, true, 138}, Bound{deep, "kd", Precision::bf16, true, 259},
                         Bound{wide, "pcd", Precision::bf16, false, 176}, Bound{deep, "pcd", Precision::bf16, false, 320},
                         Bound{wide, "kd", Precision::tf32, false, 154}, Bound{deep, "kd", Precision::tf32, false, 276}}) {
    const std::vector<std::string> found = nodes(b.pair, b.method, b.precision, b.table);
    const std::string title = text(b.pair.teacher, "-", b.pair.student, ", ", b.method, ", ", name_of(b.precision),
                                   b.table ? ", with the table" : "");
    show(title, found);
    EXPECT_LE(found.size(), b.most) << title;
    for (const std::string& name : found) {
      EXPECT_EQ(name, name == "memcpy" ? "a kernel" : name) << title << ": small copies are kernels";
    }
  }
}

}  // namespace
}  // namespace retort
