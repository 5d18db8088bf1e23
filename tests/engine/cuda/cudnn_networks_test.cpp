// Every convolution of every network, as training steps and teachers with folded batch norms ask for them in
// each precision, planned by cuDNN itself for an H100 that is only described: which engine comes first where
// nothing is measured. RETORT_SHOW_ENGINES=1 prints the table, a line per network and precision, then one per
// convolution.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "engine/cuda/cudnn/plan.h"
#include "engine/optim.h"
#include "engine/optim/narrow_weights.h"
#include "models/model.h"
#include "tests/support/described_gpu.h"
#include "tests/support/rehearsal_backend.h"

namespace retort {
namespace {

constexpr int64_t batch = 64;

// Computes nothing, on one image, and notes what cuDNN would be asked for a batch.
class Recorder final : public testing::RehearsalBackend {
 public:
  std::set<CudnnProblem> asked;

  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override {
    note(CudnnOp::conv, x.shape, w.shape, y.shape, spec, y.type, [&](CudnnProblem& p) {
      p.bias = bool(epilogue.bias);
      p.add = bool(epilogue.add);
      p.relu = epilogue.relu;
    });
  }
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override {
    if (!dx) return;
    note(CudnnOp::conv_input_gradient, dx.to.shape, w.shape, dy.shape, spec, dy.type,
         [&](CudnnProblem& p) { p.accumulate = dx.accumulates(); });
  }
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override {
    if (!dw) return;
    note(CudnnOp::conv_weight_gradient, x.shape, dw.to.shape, dy.shape, spec, x.type, [&](CudnnProblem& p) {
      p.result = dw.to.type;
      p.accumulate = dw.accumulates();
    });
  }

 private:
  template <class More>
  void note(CudnnOp op, Shape x, const Shape& w, Shape y, const Conv2dSpec& spec, DType type, More more) {
    if (w[3] == 1 && spec.groups > 1) return;  // depthwise: own kernels
    CudnnProblem p = conv_problem(op, x, w, y, spec, type, type);
    p.images *= batch;
    more(p);
    asked.insert(p);
  }
};

// Of a step as the trainer runs it, and of the network as a teacher.
std::set<CudnnProblem> asked_by(const std::string& name, Precision precision) {
  auto backend = std::make_unique<Recorder>();
  Recorder& recorder = *backend;
  Device device(std::move(backend), false, precision);
  const DType type = image_type(precision);
  for (const bool teacher : {false, true}) {
    const auto model = make_model(name, device, {});
    Tape tape(device);
    const Pass pass{device, teacher ? nullptr : &tape, !teacher};
    std::unique_ptr<Sgd> optimizer;
    if (teacher) {
      freeze(*model);
      fold_batch_norms(*model, device);
    } else {
      optimizer =
          std::make_unique<Sgd>(device, in_16_bits(parameters_of(*model), device, true), SgdOptions{});
    }
    const int64_t channels = type == DType::f32 ? image_channels : padded_image_channels;
    const Array images = device.persistent({1, model->side, model->side, channels}, type);
    const Var logits = (*model)(Var(images.tensor), pass);
    if (!teacher) tape.backward(logits, pass.make(logits.shape(), DType::f32));
  }
  return recorder.asked;
}

// What comes first for a request, by the first recipe that has a plan.
struct First {
  int recipe = -1;
  bool tensor_cores = false, little = false, compiled = false;
  int64_t workspace = 0;
  std::string engine;
};

First first_plan(const CudnnProblem& request, const CudnnTarget& target) {
  First first;
  for (const CudnnRecipe& recipe : recipes_for(request)) {
    ++first.recipe;
    const std::vector<CudnnPlan> plans =
        make_cudnn_plans(recipe.problem, {.math = CudnnMath::tf32}, target, 1);
    if (plans.empty()) continue;
    first.tensor_cores = plans[0].tensor_cores();
    first.little = plans[0].workspace() <= little_workspace(recipe.problem);
    first.compiled = plans[0].compiled_at_run_time();
    first.workspace = plans[0].workspace();
    first.engine = plans[0].engine();
    return first;
  }
  first.recipe = -1;
  return first;
}

// Why a convolution is not on the tensor cores with little workspace; empty: it should be.
std::string exception_of(const CudnnProblem& p) {
  const int64_t in = p.channels / p.groups, out = p.outputs / p.groups;
  const int64_t together =
      p.type == DType::f32 ? 4 : 8;  // elements of 16 bytes, which such engines read at once
  if (in % together != 0 || out % together != 0) return "channels are not read 16 bytes at a time";
  if (p.groups > 1) return "groups";
  if (p.op == CudnnOp::conv_weight_gradient && p.type == DType::f16 && p.kernel_height == 7)
    return "few weights, large images: sums are split";
  return {};
}

TEST(CudnnNetworks, EveryConvolutionHasAGoodEngineFirst) {
  std::optional<CudnnTarget> target;
  try {
    target.emplace(CudnnTarget::described(testing::described_h100()));
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  } catch (const CudnnRefusal& refusal) {
    GTEST_SKIP() << "cuDNN " << CudnnLibrary::get().version()
                 << " does not take the description of a device: " << refusal.why;
  }
  const bool shows = std::getenv("RETORT_SHOW_ENGINES");
  std::map<CudnnProblem, First> known;
  std::map<std::string, int> exceptions;
  for (const std::string& name : model_names()) {
    for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::fp16}) {
      int good = 0, all = 0;
      int64_t workspace = 0;
      for (const CudnnProblem& p : asked_by(name, precision)) {
        const auto [place, is_new] = known.try_emplace(p);
        First& first = place->second;
        const std::string why = exception_of(p);
        if (is_new) {
          first = first_plan(p, *target);
          EXPECT_GE(first.recipe, 0) << p << ": no engine";
          EXPECT_FALSE(first.compiled) << p << ": " << first.engine;
          if (why.empty()) {
            EXPECT_TRUE(first.tensor_cores) << p << ": " << first.engine;
            EXPECT_TRUE(first.little) << p << ": " << first.engine << ", " << first.workspace << " bytes";
          } else if (!first.tensor_cores || !first.little) {
            ++exceptions[text(p.type, ", ", why)];
          }
          if (shows)
            std::printf("  %-100s %s %9.2f MB recipe %d %s\n", text(p).c_str(),
                        first.tensor_cores ? "tensor" : "CUDA  ", 1e-6 * double(first.workspace),
                        first.recipe, first.engine.c_str());
        }
        ++all;
        good += first.tensor_cores && first.little;
        workspace = std::max(workspace, first.workspace);
      }
      if (shows)
        std::printf("| %s | %s | %d | %d | %.1f |\n", name.c_str(), name_of(precision), all, good,
                    1e-6 * double(workspace));
    }
  }
  EXPECT_GT(known.size(), 400u);
  std::printf("%zu convolutions; not on the tensor cores with little workspace:\n", known.size());
  for (const auto& [why, count] : exceptions) std::printf("  %4d  %s\n", count, why.c_str());
}

}  // namespace
}  // namespace retort
