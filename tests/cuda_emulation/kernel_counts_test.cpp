// How many kernels a captured training step takes, where every convolution is one plan of cuDNN. A launch costs a
// microsecond or two, which for small networks is what a step is made of: a kernel more than the bound is a defect.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "datasets/open.h"
#include "distill/methods/registry.h"
#include "distill/train/step.h"
#include "engine/optim/narrow_weights.h"
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

  // A step of 64 images as the trainer runs it.
  class Step {
   public:
    Step(const Pair& pair, const std::string& method, Precision precision, bool table,
         Profile* profile = nullptr)
        : device_(Device::open({.name = "cuda", .precision = precision, .profile = profile})),
          data_(open_dataset("synthetic:train=64,test=24")),
          student_(make_model(pair.student, *device_, {.classes = data_.train.classes})),
          teacher_(make_model(pair.teacher, *device_, {.classes = data_.train.classes})),
          distiller_(make_distiller(method_settings(method), *device_)) {
      freeze(*teacher_);
      fold_batch_norms(*teacher_, *device_);
      optimizer_ = std::make_unique<Sgd>(*device_, in_16_bits(parameters_of(*student_), *device_, true),
                                         SgdOptions{.loss_scaling = precision == Precision::fp16});
      loader_ =
          std::make_unique<Loader>(data_.train, LoaderOptions{.batch = batch, .workers = 0, .pixels = false});
      DeviceBatchOptions drawing;
      drawing.draw_for(precision);
      batches_ = std::make_unique<DeviceBatch>(*device_, data_.train, batch, drawing);
      step_ = std::make_unique<TrainingStep>(StepParts{.device = *device_,
                                                       .student = *student_,
                                                       .distiller = *distiller_,
                                                       .optimizer = *optimizer_,
                                                       .teacher = table ? nullptr : teacher_.get(),
                                                       .renderer = batches_.get()});
      if (table) logits_ = device_->persistent({batch, data_.train.classes}, DType::f32);
    }
    void run() {
      loader_->begin_epoch(1);
      step_->run(batches_->upload(*loader_->next()), logits_ ? logits_.tensor : Tensor{});
    }

   private:
    static constexpr int64_t batch = 64;
    std::unique_ptr<Device> device_;
    DataSet data_;
    std::unique_ptr<Model> student_, teacher_;
    std::unique_ptr<Distiller> distiller_;
    std::unique_ptr<Sgd> optimizer_;
    std::unique_ptr<Loader> loader_;
    std::unique_ptr<DeviceBatch> batches_;
    Array logits_;
    std::unique_ptr<TrainingStep> step_;
  };

  static std::vector<std::string> nodes(const Pair& pair, const std::string& method, Precision precision,
                                        bool table = false) {
    Step step(pair, method, precision, table);
    for (int i = 0; i < 4; ++i) step.run();
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
  for (const Bound& b :
       {Bound{wide, "kd", Precision::bf16, false, 104}, Bound{deep, "kd", Precision::bf16, false, 193},
        Bound{wide, "kd", Precision::bf16, true, 68}, Bound{deep, "kd", Precision::bf16, true, 134},
        Bound{wide, "pcd", Precision::bf16, false, 104}, Bound{deep, "pcd", Precision::bf16, false, 193},
        Bound{wide, "kd", Precision::tf32, false, 104}, Bound{deep, "kd", Precision::tf32, false, 193}}) {
    const std::vector<std::string> found = nodes(b.pair, b.method, b.precision, b.table);
    const std::string title = text(b.pair.teacher, "-", b.pair.student, ", ", b.method, ", ", name_of(b.precision),
                                   b.table ? ", with the table" : "");
    show(title, found);
    EXPECT_LE(found.size(), b.most) << title;
    for (const std::string& name : found) {
      EXPECT_EQ(name.find("cast_of"), std::string::npos) << title << ": " << name;
      EXPECT_EQ(name, name == "memcpy" ? "a kernel" : name) << title << ": small copies are kernels";
    }
  }
}

// The second kernel of every batch norm backward begins while the first is ending: what a launch costs is
// hidden.
TEST_F(KernelCounts, OfAStepTheseBeginEarly) {
  for (const auto& [pair, expected] : {std::pair{wide, 10}, {deep, 21}}) {
    nodes(pair, "kd", Precision::bf16);
    int early = 0;
    for (const emulation::Node& node : emulation::last_captured()) {
      early += bool(node.begin);
      EXPECT_TRUE(!node.begin || node.after.size() == 1) << node.name << " is behind several";
    }
    EXPECT_EQ(early, expected) << pair.student;
  }
}

// What each op of a step needs at least, to lay beside what a GPU says: FLOPs at half of an H100's 990e12 in
// bf16, bytes at 3e12 a second (every operand once, as if caches held what they could), 1.3 us a kernel.
// RETORT_SHOW_NODES=1 prints the table. The sums are what a step should take: one that reads its maps once
// more shows here.
TEST_F(KernelCounts, PredictTheTimeOfAStep) {
  struct Work {
    int calls = 0, kernels = 0;
    double flops = 0, bytes = 0;
    double microseconds() const { return 1e6 * std::max(flops / 495e12, bytes / 3e12) + 1.3 * kernels; }
  };
  struct Most {
    Pair pair;
    double gigaflops, gigabytes;
  };
  for (const Most& most : {Most{wide, 210, 1.25}, Most{deep, 33, 0.55}}) {
    Profile profile;
    Step step(most.pair, "kd", Precision::bf16, false, &profile);
    step.run();
    profile.begin();
    step.run();
    profile.end();
    std::map<std::string, Work> by_op;
    Work all;
    double together = 0;
    for (const ProfiledCall& call : profile.calls()) {
      const std::string op = call.op;
      for (Work* work : {&by_op[op], &all}) {
        ++work->calls;
        work->kernels += op == "batch_norm_gradient" ? 2 : 1;
        work->flops += call.flops;
        work->bytes += call.bytes;
      }
    }
    if (std::getenv("RETORT_SHOW_NODES")) {
      std::printf("%s-%s, kd, bf16, predicted for an H100\n", most.pair.teacher, most.pair.student);
      for (const auto& [op, work] : by_op)
        std::printf("  %-24s %4d calls %8.2f GFLOP %8.1f MB %8.1f us\n", op.c_str(), work.calls,
                    1e-9 * work.flops, 1e-6 * work.bytes, work.microseconds());
    }
    for (const auto& [op, work] : by_op) together += work.microseconds();
    std::printf("%s-%s: %d kernels, %.0f GFLOP, %.2f GB, %.0f us if nothing runs beside\n", most.pair.teacher,
                most.pair.student, all.kernels, 1e-9 * all.flops, 1e-9 * all.bytes, together);
    EXPECT_LE(all.flops, 1e9 * most.gigaflops);
    EXPECT_LE(all.bytes, 1e9 * most.gigabytes);
    EXPECT_GT(all.flops, 0.9e9 * most.gigaflops);
    EXPECT_GT(all.bytes, 0.6e9 * most.gigabytes);
  }
}

}  // namespace
}  // namespace retort
