// Plans for an H100 (and an A100), made from its description: no GPU is needed, but cuDNN is (skipped without
// it). That every convolution of the models has an engine is how we know, on a machine without a GPU, that
// graphs, types, layouts and filters are as cuDNN wants them.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <tuple>

#include "engine/cuda/cudnn/plan.h"
#include "layers/module.h"
#include "models/export/inference_graph.h"
#include "tests/support/described_gpu.h"

namespace retort {
namespace {

const CudnnOptions fp32{.math = CudnnMath::fp32}, tf32{.math = CudnnMath::tf32};

class CudnnPlans : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      target_.emplace(CudnnTarget::described(testing::described_h100()));
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    } catch (const CudnnRefusal& refusal) {
      GTEST_SKIP() << "cuDNN " << CudnnLibrary::get().version()
                   << " does not take the description of a device: " << refusal.why;
    }
  }

  // The place of the first recipe that has a plan; -1 if none has.
  int recipe_of(const CudnnProblem& request, const CudnnOptions& options) {
    int place = 0;
    for (const CudnnRecipe& recipe : recipes_for(request)) {
      if (!make_cudnn_plans(recipe.problem, options, *target_, 1).empty()) return place;
      ++place;
    }
    return -1;
  }

  std::optional<CudnnTarget> target_;
};

CudnnProblem convolution(CudnnOp op, int64_t side, int64_t channels, int64_t outputs, int kernel, int stride,
                         int groups = 1) {
  const int pad = kernel / 2;
  const int64_t out = (side + 2 * pad - kernel) / stride + 1;
  return conv_problem(op, Shape{64, side, side, channels}, Shape{outputs, kernel, kernel, channels / groups},
                      Shape{64, out, out, outputs}, {.stride = stride, .pad = pad, .groups = groups},
                      DType::f32, DType::f32);
}

CudnnProblem as(CudnnProblem problem, DType type) {
  problem.type = problem.result = type;
  return problem;
}

// The convolutions of a training step and of a teacher with folded batch norms, for batches of 64.
std::set<CudnnProblem> convolutions_of(const std::vector<std::string>& models) {
  std::set<CudnnProblem> problems;
  const auto all_directions = [&](CudnnProblem p) {
    p = plain(p);
    for (const CudnnOp op : {CudnnOp::conv, CudnnOp::conv_input_gradient, CudnnOp::conv_weight_gradient}) {
      p.op = op;
      problems.insert(p);
    }
  };
  const auto device = Device::open({.name = "portable", .threads = 1});
  for (const std::string& name : models) {
    const auto model = make_model(name, *device, {});
    initialize(*model, *device, 1);
    const InferenceGraph graph = inference_graph(*model, *device);
    for (const InferenceNode& node : graph.nodes) {
      if (node.kind != NodeKind::conv) continue;
      const Shape &x = graph.values[size_t(node.inputs[0])], &y = graph.values[size_t(node.output)];
      CudnnProblem p =
          conv_problem(CudnnOp::conv, Shape{64, x[0], x[1], x[2]}, graph.constants[size_t(node.weight)].shape,
                       Shape{64, y[0], y[1], y[2]}, node.conv, DType::f32, DType::f32);
      all_directions(p);
      p.bias = node.bias >= 0;
      p.add = node.add >= 0;
      p.relu = node.relu;
      problems.insert(p);
    }
  }
  // Of the larger models, whose weights would take their time: VGG's, ResNet-50's, resnet32x4's.
  for (const CudnnProblem& p :
       {convolution(CudnnOp::conv, 32, 64, 64, 3, 1), convolution(CudnnOp::conv, 16, 256, 256, 3, 1),
        convolution(CudnnOp::conv, 2, 512, 512, 3, 1), convolution(CudnnOp::conv, 16, 128, 256, 3, 2),
        convolution(CudnnOp::conv, 32, 256, 512, 1, 2), convolution(CudnnOp::conv, 4, 2048, 512, 1, 1)}) {
    all_directions(p);
  }
  return problems;
}

TEST_F(CudnnPlans, EveryConvolutionOfTheModelsHasAnEngineAsItIs) {
  std::set<CudnnProblem> problems =
      convolutions_of({"resnet20", "wrn_16_2", "MobileNetV2", "ShuffleV1", "ShuffleV2"});
  ASSERT_GT(problems.size(), 100u);
  int planned = 0;
  for (const CudnnProblem& p : problems) {
    const bool depthwise = p.groups > 1 && p.groups == p.channels;
    EXPECT_EQ(recipe_of(p, fp32), 0) << p << " in fp32";
    EXPECT_EQ(recipe_of(p, tf32), 0) << p << " in tf32";
    planned += 2;
    // Plans of depthwise weight gradients in 16 bit take a second each; one of them is below.
    if (depthwise && p.op == CudnnOp::conv_weight_gradient) continue;
    EXPECT_EQ(recipe_of(as(p, DType::bf16), tf32), 0) << as(p, DType::bf16);
    if (p.channels % 8 != 0 || p.groups > 1) {
      EXPECT_EQ(recipe_of(as(p, DType::f16), tf32), 0) << as(p, DType::f16);
    }
    ++planned;
  }
  RecordProperty("planned", planned);
}

TEST_F(CudnnPlans, GradientsThatAreAdded) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (const CudnnOp op : {CudnnOp::conv_input_gradient, CudnnOp::conv_weight_gradient}) {
      for (CudnnProblem p : {convolution(op, 32, 3, 16, 3, 1), convolution(op, 32, 32, 32, 3, 1),
                             convolution(op, 8, 64, 128, 1, 2), convolution(op, 16, 58, 58, 3, 1, 58)}) {
        p.accumulate = true;
        EXPECT_EQ(recipe_of(as(p, type), tf32), 0) << as(p, type);
      }
    }
  }
  // A master gradient in f32 of 16-bit operands has no engine: it is made in 16 bits and converted.
  CudnnProblem p = as(convolution(CudnnOp::conv_weight_gradient, 32, 32, 32, 3, 1), DType::bf16);
  p.result = DType::f32;
  EXPECT_EQ(recipe_of(p, tf32), 1) << p;
}

TEST_F(CudnnPlans, EveryEpilogueIsFusedInEveryType) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (int steps = 1; steps < 8; ++steps) {
      CudnnProblem p = as(convolution(CudnnOp::conv, 32, 32, 32, 3, 1), type);
      p.bias = steps & 1;
      p.add = steps & 2;
      p.relu = steps & 4;
      EXPECT_EQ(recipe_of(p, tf32), 0) << p;
      if (type == DType::f32) {
        EXPECT_EQ(recipe_of(p, fp32), 0) << p << " in fp32";
      }
    }
  }
}

TEST_F(CudnnPlans, AnA100HasTheEnginesToo) {
  target_.emplace(CudnnTarget::described(testing::described_a100()));
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (const CudnnOp op : {CudnnOp::conv, CudnnOp::conv_input_gradient, CudnnOp::conv_weight_gradient}) {
      for (CudnnProblem p : {convolution(op, 32, 3, 16, 3, 1), convolution(op, 32, 16, 32, 3, 2),
                             convolution(op, 16, 58, 58, 1, 1), convolution(op, 16, 60, 240, 1, 1, 3)}) {
        p = as(p, type);
        p.bias = p.add = p.relu = op == CudnnOp::conv;
        EXPECT_EQ(recipe_of(p, tf32), 0) << p;
        EXPECT_EQ(recipe_of(p, fp32), 0) << p << " in fp32";
      }
    }
  }
}

TEST_F(CudnnPlans, MathDecidesOnTheEngine) {
  // The engines of f32 that round to TF32 are others than those that do not.
  const CudnnProblem p = convolution(CudnnOp::conv, 32, 32, 32, 3, 1);
  const auto exact = make_cudnn_plans(p, fp32, *target_, 1), rounded = make_cudnn_plans(p, tf32, *target_, 1);
  ASSERT_EQ(exact.size(), 1u);
  ASSERT_EQ(rounded.size(), 1u);
  EXPECT_NE(exact[0].serialised(), rounded[0].serialised());
  const auto several = make_cudnn_plans(p, tf32, *target_, 4);
  ASSERT_EQ(several.size(), 4u);
  EXPECT_EQ(several[0].serialised(), rounded[0].serialised());
  EXPECT_NE(several[1].serialised(), rounded[0].serialised());
}

// Where nothing is measured, the first plan is taken: of the tensor cores, with no more workspace than the result or what
// stays in the cache. RETORT_SHOW_ENGINES=1 prints the table. What cannot be had so, with the reason, is `exceptions`.
TEST_F(CudnnPlans, TheFirstPlanUsesTensorCoresAndLittleWorkspace) {
  // Images of 3 channels: no engine of the tensor cores reads 6 bytes. In steps they are drawn with 8 channels.
  const auto exception = [](const CudnnProblem& p) { return p.channels == 3; };
  std::set<CudnnProblem> problems = convolutions_of({"resnet20"});
  for (const int64_t outputs : {16, 32}) {
    for (const CudnnOp op : {CudnnOp::conv, CudnnOp::conv_weight_gradient})
      problems.insert(convolution(op, 32, 8, outputs, 3, 1));
  }
  for (const auto& [side, from, to] : {std::tuple{32, 32, 64}, {16, 64, 128}, {8, 128, 256}}) {
    for (const CudnnOp op : {CudnnOp::conv, CudnnOp::conv_input_gradient, CudnnOp::conv_weight_gradient}) {
      const int stride = from == 32 ? 1 : 2;
      problems.insert(convolution(op, from == 32 ? 32 : 2 * side, from, to, 3, stride));
      problems.insert(convolution(op, from == 32 ? 32 : 2 * side, from, to, 1, stride));
      problems.insert(convolution(op, from == 32 ? 32 : side, to, to, 3, 1));
    }
  }
  int good = 0;
  for (const DType type : {DType::bf16, DType::f16, DType::f32}) {
    for (const CudnnProblem& f32 : problems) {
      const CudnnProblem p = as(f32, type);
      const std::vector<CudnnPlan> plans = make_cudnn_plans(p, tf32, *target_, 1);
      ASSERT_EQ(plans.size(), 1u) << p;
      const CudnnPlan& plan = plans[0];
      if (std::getenv("RETORT_SHOW_ENGINES"))
        std::printf("%-95s %s %8.2f MB  %s\n", text(p).c_str(), plan.tensor_cores() ? "tensor" : "CUDA  ",
                    1e-6 * double(plan.workspace()), plan.engine().c_str());
      if (exception(p)) continue;
      EXPECT_TRUE(plan.tensor_cores()) << p << ": " << plan.engine();
      EXPECT_LE(plan.workspace(), little_workspace(p)) << p << ": " << plan.engine();
      ++good;
    }
  }
  EXPECT_GT(good, 100);
}

// What the engines are called with, as far as the host checks it: a variant pack takes exactly the tensors of the graph
// that have memory, which are those that the backend hands over (slots_of(), held by the emulated cuDNN).
TEST_F(CudnnPlans, VariantPacksNameTheTensorsWithMemory) {
  std::set<CudnnProblem> problems;
  for (const CudnnProblem& f32 : convolutions_of({"resnet20"})) {
    for (const DType type : {DType::bf16, DType::f32}) {
      for (const CudnnRecipe& recipe : recipes_for(as(f32, type))) problems.insert(recipe.problem);
      CudnnProblem added = plain(as(f32, type));
      if (added.op != CudnnOp::conv) added.accumulate = true;
      for (const CudnnRecipe& recipe : recipes_for(added)) problems.insert(recipe.problem);
    }
  }
  std::vector<char> memory(64);  // an address that is never followed
  int packs = 0;
  for (const CudnnProblem& p : problems) {
    SCOPED_TRACE(text(p));
    CudnnOperations operations;
    try {
      operations = cudnn_operations(p, nullptr, CudnnPlan::alignment);
    } catch (const CudnnRefusal&) {
      continue;  // no graph of cuDNN's: the next recipe is taken
    }
    std::set<int64_t> with_memory, handed_over;
    for (const CudnnDescriptor& part : operations.parts) {
      try {
        const int64_t id = part.get_integer(CUDNN_ATTR_TENSOR_UNIQUE_ID);
        const auto is_virtual = part.get_list<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1);
        if (!is_virtual.at(0)) with_memory.insert(id);
      } catch (const CudnnRefusal&) {  // no tensor
      }
    }
    for (const CudnnSlot slot : slots_of(p)) handed_over.insert(int64_t(slot));
    EXPECT_EQ(with_memory, handed_over);

    const std::vector<int64_t> ids(handed_over.begin(), handed_over.end());
    const std::vector<void*> pointers(ids.size(), memory.data());
    void* const workspace = memory.data();
    CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(pointers.size()),
             pointers.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    EXPECT_NO_THROW(pack.finalize("variant pack"));
    ++packs;
  }
  EXPECT_GT(packs, 20);
}

TEST_F(CudnnPlans, APlanIsReadFromWhatItWrote) {
  const auto plans =
      make_cudnn_plans(as(convolution(CudnnOp::conv, 32, 32, 32, 3, 1), DType::bf16), tf32, *target_, 1);
  ASSERT_EQ(plans.size(), 1u);
  const std::string written = plans[0].serialised();
  const auto again = read_cudnn_plan(written, *target_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->workspace(), plans[0].workspace());
  EXPECT_EQ(again->serialised(), written);
  EXPECT_FALSE(read_cudnn_plan("{}", *target_));
  EXPECT_FALSE(read_cudnn_plan(written.substr(0, written.size() / 2), *target_));
}

TEST_F(CudnnPlans, WhatHasNoEngineIsRefusedAndWhatIsWrongIsAnError) {
  // Batch norm's residual needs its ReLU.
  CudnnProblem p = batch_norm_problem(CudnnOp::batch_norm_train, Shape{64, 32, 32, 32}, DType::bf16);
  p.add = true;
  EXPECT_TRUE(make_cudnn_plans(p, tf32, *target_, 1).empty());
  CudnnProblem wrong = convolution(CudnnOp::conv, 32, 32, 32, 3, 1);
  wrong.out_height = 31;
  EXPECT_THROW(make_cudnn_plans(wrong, tf32, *target_, 1), Error);
}

}  // namespace
}  // namespace retort
