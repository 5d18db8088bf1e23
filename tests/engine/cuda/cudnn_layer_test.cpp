// The parts of the cuDNN layer that are arithmetic and files: no device is needed.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <numeric>
#include <vector>

#include "engine/cuda/cudnn/plan.h"
#include "engine/cuda/cudnn/plan_files.h"
#include "engine/cuda/cudnn/recipe.h"
#include "engine/cuda/cudnn/workspace.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::TempFolder;

CudnnProblem convolution(CudnnOp op, int64_t channels, int64_t outputs, int groups, DType type) {
  return conv_problem(op, Shape{2, 8, 8, channels}, Shape{outputs, 3, 3, channels / groups},
                      Shape{2, 4, 4, outputs}, {.stride = 2, .pad = 1, .groups = groups}, type, type);
}

TEST(CudnnProblem, ItsTextNamesAllThatAPlanDependsOn) {
  CudnnProblem p = convolution(CudnnOp::conv, 12, 24, 3, DType::f16);
  EXPECT_EQ(text(p), "conv f16 x[2,8,8,12] k[3,3] s2 p1 g3 y[2,4,4,24]");
  p.bias = p.add = p.relu = true;
  EXPECT_EQ(text(p), "conv f16 x[2,8,8,12] k[3,3] s2 p1 g3 y[2,4,4,24] bias add relu");
  CudnnProblem gradient = convolution(CudnnOp::conv_weight_gradient, 12, 24, 3, DType::bf16);
  gradient.result = DType::f32;
  gradient.accumulate = true;
  EXPECT_EQ(text(gradient),
            "conv_weight_gradient bf16 to f32 x[2,8,8,12] k[3,3] s2 p1 g3 y[2,4,4,24] accumulate");
  EXPECT_EQ(text(batch_norm_problem(CudnnOp::batch_norm_train, Shape{5, 7}, DType::f32)),
            "batch_norm_train f32 x[5,1,1,7]");
  // Every field that distinguishes two problems distinguishes their texts: they are the names of plans.
  std::vector<CudnnProblem> all{p, gradient, plain(p), padded(p),
                                batch_norm_problem(p.op, Shape{5, 7}, p.type)};
  for (int field = 0; field < 6; ++field) {
    CudnnProblem other = plain(p);
    (field == 0   ? other.images
     : field == 1 ? other.height
     : field == 2 ? other.out_width
                  : other.kernel_width) += 1;
    if (field == 4) other.pad += 1;
    if (field == 5) other.stride += 1;
    all.push_back(other);
  }
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = 0; j < all.size(); ++j)
      EXPECT_EQ(all[i] == all[j], text(all[i]) == text(all[j])) << i << j;
}

TEST(CudnnProblem, ShapesThatDoNotBelongTogetherAreRefused) {
  const auto make = [](Shape x, Shape w, Shape y, Conv2dSpec spec) {
    return error_of(Fault::internal,
                    [&] { conv_problem(CudnnOp::conv, x, w, y, spec, DType::f32, DType::f32); });
  };
  const Shape x{2, 8, 8, 4}, w{6, 3, 3, 4}, y{2, 8, 8, 6};
  const Conv2dSpec spec{.stride = 1, .pad = 1, .groups = 1};
  EXPECT_NO_THROW(conv_problem(CudnnOp::conv, x, w, y, spec, DType::f32, DType::f32));
  EXPECT_NE(make(Shape{3, 8, 8, 4}, w, y, spec).find("[3, 8, 8, 4]"), std::string::npos);
  make(x, Shape{6, 3, 3, 5}, y, spec);
  make(x, Shape{7, 3, 3, 4}, y, spec);
  make(x, w, Shape{2, 7, 8, 6}, spec);
  make(x, w, y, {.stride = 2, .pad = 1, .groups = 1});
  make(x, w, y, {.stride = 1, .pad = 1, .groups = 2});
  make(x, w, Shape{2, 64, 6}, spec);
}

TEST(CudnnProblem, ChannelsOfAGroupArePaddedTo16Bytes) {
  const auto pad = [](int64_t channels, int64_t outputs, int groups, DType type) {
    const CudnnProblem p = padded(convolution(CudnnOp::conv, channels, outputs, groups, type));
    return std::pair(p.channels, p.outputs);
  };
  EXPECT_EQ(pad(3, 16, 1, DType::f32), std::pair(int64_t(4), int64_t(16)));
  EXPECT_EQ(pad(3, 16, 1, DType::bf16), std::pair(int64_t(8), int64_t(16)));
  EXPECT_EQ(pad(54, 58, 1, DType::f16), std::pair(int64_t(56), int64_t(64)));
  EXPECT_EQ(pad(60, 240, 3, DType::f16), std::pair(int64_t(72), int64_t(240)));
  EXPECT_EQ(pad(58, 58, 58, DType::f16), std::pair(int64_t(58), int64_t(58)));  // depthwise
  EXPECT_EQ(pad(32, 64, 1, DType::f16), std::pair(int64_t(32), int64_t(64)));
}

TEST(CudnnRecipes, AForwardConvolutionIsFusedFirst) {
  CudnnProblem p = convolution(CudnnOp::conv, 3, 16, 1, DType::f16);
  ASSERT_EQ(recipes_for(p).size(), 2u);  // as it is, padded
  EXPECT_EQ(recipes_for(p)[0].problem, p);
  EXPECT_FALSE(recipes_for(p)[0].epilogue);
  EXPECT_EQ(recipes_for(p)[1].problem.channels, 8);
  p.relu = p.add = true;
  const std::vector<CudnnRecipe> recipes = recipes_for(p);
  ASSERT_EQ(recipes.size(), 4u);
  // The engines want a bias where there is anything behind the convolution.
  EXPECT_TRUE(recipes[0].problem.bias && recipes[0].problem.add && recipes[0].problem.relu);
  EXPECT_FALSE(recipes[0].epilogue || recipes[1].epilogue);
  EXPECT_EQ(recipes[2].problem, plain(p));
  EXPECT_TRUE(recipes[2].epilogue && recipes[3].epilogue);
  EXPECT_EQ(recipes[3].problem, padded(plain(p)));
}

TEST(CudnnRecipes, AGradientMayBeComputedInScratchAndAdded) {
  CudnnProblem p = convolution(CudnnOp::conv_weight_gradient, 3, 16, 1, DType::bf16);
  EXPECT_EQ(recipes_for(p).size(), 2u);
  p.result = DType::f32;
  p.accumulate = true;
  const std::vector<CudnnRecipe> recipes = recipes_for(p);
  ASSERT_EQ(recipes.size(), 3u);
  EXPECT_EQ(recipes[0].problem, p);
  EXPECT_EQ(recipes[1].problem.result, DType::bf16);
  EXPECT_FALSE(recipes[1].problem.accumulate);
  EXPECT_EQ(recipes[1].problem.channels, 3);
  EXPECT_EQ(recipes[2].problem, padded(recipes[1].problem));
  EXPECT_EQ(recipes_for(batch_norm_problem(CudnnOp::batch_norm_train, Shape{4, 3}, DType::f32)).size(), 1u);
}

TEST(CudnnRecipes, BlocksHoldTheTensors) {
  const CudnnProblem p = convolution(CudnnOp::conv, 60, 24, 3, DType::f16);
  EXPECT_EQ(block_of(p, CudnnSlot::x), (Block{{1, 2 * 8 * 8, 3, 20}}));
  EXPECT_EQ(block_of(p, CudnnSlot::dx), block_of(p, CudnnSlot::x));
  EXPECT_EQ(block_of(p, CudnnSlot::y), (Block{{1, 2 * 4 * 4, 3, 8}}));
  EXPECT_EQ(block_of(p, CudnnSlot::w), (Block{{3, 8, 9, 20}}));
  EXPECT_EQ(block_of(p, CudnnSlot::bias), (Block{{1, 1, 3, 8}}));
  EXPECT_EQ(block_of(padded(p), CudnnSlot::w), (Block{{3, 8, 9, 24}}));
  CudnnProblem gradient = p;
  gradient.op = CudnnOp::conv_weight_gradient;
  gradient.result = DType::f32;
  EXPECT_EQ(type_of(gradient, CudnnSlot::dw), DType::f32);
  EXPECT_EQ(type_of(gradient, CudnnSlot::dy), DType::f16);
}

// Padding the operands of a grouped convolution with zeros, and taking the padding off the result, is the
// convolution itself: what the recipes stand on, computed here in f64.
TEST(CudnnRecipes, AConvolutionOfPaddedOperandsIsTheSame) {
  const CudnnProblem p = convolution(CudnnOp::conv, 6, 4, 2, DType::f16);  // 3 and 2 channels a group
  const CudnnProblem q = padded(p);
  ASSERT_EQ(q.channels, 16);
  ASSERT_EQ(q.outputs, 16);
  const auto convolve = [](const CudnnProblem& c, const std::vector<double>& x,
                           const std::vector<double>& w) {
    const int64_t cg = c.channels / c.groups, kg = c.outputs / c.groups;
    std::vector<double> y(size_t(block_of(c, CudnnSlot::y).size()));
    for (int64_t i = 0; i < int64_t(y.size()); ++i) {
      const int64_t k = i % c.outputs, column = i / c.outputs % c.out_width,
                    row = i / c.outputs / c.out_width % c.out_height,
                    image = i / c.outputs / c.out_width / c.out_height;
      for (int64_t r = 0; r < c.kernel_height; ++r)
        for (int64_t s = 0; s < c.kernel_width; ++s)
          for (int64_t ch = 0; ch < cg; ++ch) {
            const int64_t h = row * c.stride + r - c.pad, v = column * c.stride + s - c.pad;
            if (h < 0 || h >= c.height || v < 0 || v >= c.width) continue;
            y[size_t(i)] +=
                x[size_t(((image * c.height + h) * c.width + v) * c.channels + k / kg * cg + ch)] *
                w[size_t(((k * c.kernel_height + r) * c.kernel_width + s) * cg + ch)];
          }
    }
    return y;
  };
  const auto copied = [](const std::vector<double>& from, const Block& a, const Block& b) {
    std::vector<double> to(size_t(b.size()));
    for (int64_t i = 0; i < b.size(); ++i) {
      const int64_t place = place_in(a, b, i);
      if (place >= 0) to[size_t(i)] = from[size_t(place)];
    }
    return to;
  };
  std::vector<double> x(size_t(block_of(p, CudnnSlot::x).size())),
      w(size_t(block_of(p, CudnnSlot::w).size()));
  std::iota(x.begin(), x.end(), 1.);
  std::iota(w.begin(), w.end(), -50.);
  const std::vector<double> y = convolve(p, x, w);
  const auto pad = [&](CudnnSlot slot, const std::vector<double>& v) {
    return copied(v, block_of(p, slot), block_of(q, slot));
  };
  const std::vector<double> wide = convolve(q, pad(CudnnSlot::x, x), pad(CudnnSlot::w, w));
  EXPECT_EQ(copied(wide, block_of(q, CudnnSlot::y), block_of(p, CudnnSlot::y)), y);
}

TEST(CudnnOptions, ForbidEnginesByTheirNotes) {
  const auto is = [](cudnnBackendNumericalNote_t note, DType type, CudnnOptions options) {
    return forbidden({CUDNN_NUMERICAL_NOTE_FFT, note}, type, options);
  };
  const CudnnOptions tf32, fp32{.math = CudnnMath::fp32}, loose{.deterministic = false};
  EXPECT_FALSE(forbidden({}, DType::f32, fp32));
  EXPECT_TRUE(is(CUDNN_NUMERICAL_NOTE_TENSOR_CORE, DType::f32, fp32));
  EXPECT_FALSE(is(CUDNN_NUMERICAL_NOTE_TENSOR_CORE, DType::f32, tf32));
  EXPECT_FALSE(is(CUDNN_NUMERICAL_NOTE_TENSOR_CORE, DType::bf16, fp32));
  EXPECT_TRUE(is(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, DType::f32, tf32));
  EXPECT_TRUE(is(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, DType::f16, tf32));
  EXPECT_FALSE(is(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, DType::f16, loose));
  EXPECT_TRUE(is(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, DType::f16, loose));
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(CudnnPlanFiles, KeepPlansByProblemAndContext) {
  const TempFolder folder;
  const CudnnPlanFiles files((folder / "a/b").string(), "cuDNN 9.19.0, H100");
  EXPECT_EQ(files.read("conv"), std::nullopt);
  const std::string plan("{\"a\":\0\n1}", 9);
  files.write("conv", plan);
  EXPECT_EQ(files.read("conv"), plan);
  EXPECT_EQ(files.read("conv2"), std::nullopt);
  files.write("conv", "other");
  EXPECT_EQ(files.read("conv"), "other");
  EXPECT_EQ(CudnnPlanFiles((folder / "a/b").string(), "cuDNN 9.20.0, H100").read("conv"), std::nullopt);
  EXPECT_EQ(CudnnPlanFiles((folder / "a/b").string(), "cuDNN 9.19.0, H100").read("conv"), "other");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "a/b"), {}),
            1);  // nothing is left behind
}

TEST(CudnnPlanFiles, DamagedAndForeignFilesAreNotRead) {
  const TempFolder folder;
  const CudnnPlanFiles files(folder.path().string(), "context");
  files.write("conv", "a plan of some length");
  const std::string path = files.path_of("conv"), whole = content_of(path);
  const auto with = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return files.read("conv");
  };
  ASSERT_TRUE(with(whole));
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(with(whole.substr(0, length))) << length;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = char(flipped[i] ^ 4);
    EXPECT_FALSE(with(flipped)) << i;
  }
  EXPECT_FALSE(with(whole + "!"));
  // A file of another problem under this name, as a collision of hashes would make one.
  files.write("another", "plan");
  EXPECT_FALSE(with(content_of(files.path_of("another"))));
  files.write("conv", "new");
  EXPECT_EQ(files.read("conv"), "new");
}

TEST(CudnnPlanFiles, WithoutAFolderNothingIsKept) {
  const CudnnPlanFiles files("", "context");
  files.write("conv", "plan");
  EXPECT_EQ(files.read("conv"), std::nullopt);
}

TEST(CudnnPlanFiles, AFolderThatCannotBeMadeKeepsNothing) {
  const TempFolder folder;
  folder.write("file", "");
  const CudnnPlanFiles files((folder / "file/plans").string(), "context");
  files.write("conv", "plan");
  EXPECT_EQ(files.read("conv"), std::nullopt);
}

// Memory that counts what is out.
struct CountedMemory : Memory {
  size_t out = 0;
  std::vector<size_t> asked;
  void* allocate(size_t bytes) override {
    out += bytes;
    asked.push_back(bytes);
    return ::operator new(bytes);
  }
  void release(void* data, size_t bytes) override {
    out -= bytes;
    ::operator delete(data);
  }
  bool host_addressable() const override { return true; }
};

TEST(CudnnWorkspace, GrowsAndKeepsWhatWasHandedOut) {
  CountedMemory memory;
  {
    CudnnWorkspace workspace(memory);
    EXPECT_EQ(workspace.reserve(0), nullptr);
    EXPECT_EQ(workspace.largest(), 0u);
    void* first = workspace.reserve(1000);
    EXPECT_GE(workspace.largest(), 1000u);
    EXPECT_EQ(workspace.reserve(10), first);
    EXPECT_EQ(workspace.reserve(workspace.largest()), first);
    void* second = workspace.reserve(workspace.largest() + 1);
    EXPECT_NE(second, first);
    EXPECT_EQ(workspace.reserve(10), second);
    EXPECT_EQ(memory.asked.size(), 2u);
    EXPECT_EQ(memory.out, workspace.bytes());  // the first block is still held
  }
  EXPECT_EQ(memory.out, 0u);
}

}  // namespace
}  // namespace retort
