// Convolutions of a backend in every type against sums in f64 on the host: the portable backend (which keeps
// (which keeps the test itself honest on any machine) and, where there is a device, cuDNN's engines in f32,
// tf32, bf16 and f16.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "engine/cpu/portable.h"
#include "engine/cuda/cuda.h"
#include "engine/cuda/cudnn/graphs.h"
#include "engine/device.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

// --- values that all types hold exactly --------------------------------------------------------------------

// Multiples of 1/8 in [-2, 2]: 6 bits.
double value_of(uint64_t i) {
  return double(int64_t((i * 0x9e3779b97f4a7c15u) >> 40) % 33 - 16) / 8;
}

// Exact for zero and for normal numbers of few bits.
uint16_t half_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x == 0) return 0;
  return uint16_t((bits >> 16 & 0x8000) | (((bits >> 23 & 0xff) - 127 + 15) << 10) | (bits >> 13 & 0x3ff));
}
float half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const float fraction = float(bits & 0x3ff) / 1024;
  const float size = exponent ? std::ldexp(1 + fraction, exponent - 15) : std::ldexp(fraction, -14);
  return bits & 0x8000 ? -size : size;
}

struct Target {
  const char* name;
  bool cuda;
  DType type;
  bool tf32;
  double tolerance;  // of a result, relative to the sum of the magnitudes of its products
};

void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

Array uploaded(Arena& arena, Backend& backend, const Shape& shape, DType type,
               const std::vector<double>& values, int64_t offset) {
  // offset: elements before the tensor, so that its address is aligned to an element only.
  Array whole(arena, Shape{shape.size() + offset}, type);
  std::vector<float> f32;
  std::vector<uint16_t> h;
  for (int64_t i = 0; i < shape.size() + offset; ++i) {
    const float v = i < offset ? 77.f : float(values[size_t(i - offset)]);
    f32.push_back(v);
    h.push_back(type == DType::f16 ? half_bits(v) : uint16_t(std::bit_cast<uint32_t>(v) >> 16));
  }
  backend.upload(whole, type == DType::f32 ? static_cast<const void*>(f32.data()) : h.data());
  whole.tensor = {static_cast<char*>(whole.tensor.data) + size_t(offset) * size_of(type), shape, type};
  return whole;
}

std::vector<double> downloaded(Backend& backend, const Tensor& t) {
  std::vector<double> values;
  if (t.type == DType::f32) {
    std::vector<float> host(size_t(t.size()));
    backend.download(host.data(), t);
    values.assign(host.begin(), host.end());
    return values;
  }
  std::vector<uint16_t> host(size_t(t.size()));
  backend.download(host.data(), t);
  for (const uint16_t bits : host) {
    values.push_back(t.type == DType::f16 ? half_value(bits) : std::bit_cast<float>(uint32_t(bits) << 16));
  }
  return values;
}

// --- a convolution and its gradients
// ------------------------------------------------------------------------

struct Case {
  int64_t images, side, channels, outputs;
  int kernel, stride, groups;
};

class Problem {
 public:
  explicit Problem(const Case& c)
      : spec{.stride = c.stride, .pad = c.kernel / 2, .groups = c.groups},
        x_shape{c.images, c.side, c.side, c.channels},
        w_shape{c.outputs, c.kernel, c.kernel, c.channels / c.groups},
        y_shape{c.images, out(c), out(c), c.outputs} {
    for (int64_t i = 0; i < x_shape.size(); ++i) x.push_back(value_of(uint64_t(i)));
    for (int64_t i = 0; i < w_shape.size(); ++i) w.push_back(value_of(uint64_t(i) + 1000003));
    for (int64_t i = 0; i < y_shape.size(); ++i) dy.push_back(value_of(uint64_t(i) + 2000003));
    for (int64_t i = 0; i < c.outputs; ++i) bias.push_back(value_of(uint64_t(i) + 3000003));
  }

  // Calls f(place in x, place in w, place in y) for every product.
  void each(const std::function<void(size_t, size_t, size_t)>& f) const {
    const int64_t cg = w_shape[3], kg = y_shape[3] / spec.groups;
    for (int64_t n = 0; n < y_shape[0]; ++n)
      for (int64_t i = 0; i < y_shape[1]; ++i)
        for (int64_t j = 0; j < y_shape[2]; ++j)
          for (int64_t k = 0; k < y_shape[3]; ++k)
            for (int64_t r = 0; r < w_shape[1]; ++r)
              for (int64_t s = 0; s < w_shape[2]; ++s) {
                const int64_t h = i * spec.stride + r - spec.pad, v = j * spec.stride + s - spec.pad;
                if (h < 0 || h >= x_shape[1] || v < 0 || v >= x_shape[2]) continue;
                for (int64_t c = 0; c < cg; ++c)
                  f(size_t(((n * x_shape[1] + h) * x_shape[2] + v) * x_shape[3] + k / kg * cg + c),
                    size_t(((k * w_shape[1] + r) * w_shape[2] + s) * cg + c),
                    size_t(((n * y_shape[1] + i) * y_shape[2] + j) * y_shape[3] + k));
              }
  }

  const Conv2dSpec spec;
  const Shape x_shape, w_shape, y_shape;
  std::vector<double> x, w, dy, bias;

 private:
  static int64_t out(const Case& c) { return (c.side + 2 * (c.kernel / 2) - c.kernel) / c.stride + 1; }
};

// Sums and the sums of their magnitudes.
struct Expected {
  std::vector<double> value, magnitude;
  explicit Expected(const Shape& shape) : value(size_t(shape.size())), magnitude(size_t(shape.size())) {}
  void add(size_t at, double product) {
    value[at] += product;
    magnitude[at] += std::abs(product);
  }
};

void expect_near(const std::vector<double>& found, const Expected& expected, double tolerance,
                 const char* what) {
  ASSERT_EQ(found.size(), expected.value.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected.value[i], tolerance * (expected.magnitude[i] + 1)) << what << " at " << i;
  }
}

const Case cases[] = {
    {2, 8, 3, 16, 3, 1, 1},    // the first of a network
    {3, 8, 16, 32, 3, 2, 1},   //
    {2, 8, 32, 64, 1, 2, 1},   // a shortcut
    {2, 4, 60, 24, 1, 1, 3},   // ShuffleNet's
    {2, 4, 54, 58, 1, 1, 1},   //
    {2, 6, 58, 58, 3, 2, 58},  // depthwise
    {1, 1, 8, 8, 1, 1, 1},     //
};

class ConvolutionsInEveryType : public ::testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    const Target& target = GetParam();
    if (!target.cuda) {
      backend_ = std::make_unique<Portable>(1);
    } else if (const std::string missing = cuda_missing(); !missing.empty()) {
      GTEST_SKIP() << missing;
    } else {
      backend_ = make_cuda({.tf32 = target.tf32, .plans = {}});
    }
    arena_ = std::make_unique<Arena>(*backend_);
  }
  void TearDown() override {
    arrays_.clear();
    arena_.reset();
  }

  Tensor up(const Shape& shape, const std::vector<double>& values, int64_t offset = 0) {
    return up(shape, values, offset, GetParam().type);
  }
  Tensor up(const Shape& shape, const std::vector<double>& values, int64_t offset, DType type) {
    arrays_.push_back(uploaded(*arena_, *backend_, shape, type, values, offset));
    return arrays_.back();
  }
  std::vector<double> down(const Tensor& t) { return downloaded(*backend_, t); }

  void check_all(const Case& c, int64_t offset);

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Arena> arena_;
  std::vector<Array> arrays_;
};

// offset: see uploaded().
void ConvolutionsInEveryType::check_all(const Case& c, int64_t offset) {
  const Problem p(c);
  const double tolerance = GetParam().tolerance;
  const Tensor x = up(p.x_shape, p.x, offset), w = up(p.w_shape, p.w, offset),
               dy = up(p.y_shape, p.dy, offset), bias = up(Shape{c.outputs}, p.bias, offset, DType::f32),
               add = up(p.y_shape, p.dy, offset);
  Expected y(p.y_shape), dx(p.x_shape), dw(p.w_shape);
  p.each([&](size_t i, size_t j, size_t k) {
    y.add(k, p.x[i] * p.w[j]);
    dx.add(i, p.dy[k] * p.w[j]);
    dw.add(j, p.dy[k] * p.x[i]);
  });
  Expected behind = y;
  for (size_t k = 0; k < behind.value.size(); ++k) {
    behind.add(k, p.bias[k % p.bias.size()]);
    behind.add(k, p.dy[k]);
  }
  Expected clipped = behind;
  for (double& v : clipped.value) v = std::max(v, 0.);

  const Tensor to = up(p.y_shape, p.dy, offset);
  backend_->conv2d(x, w, p.spec, {.bias = {}, .add = {}}, to);
  expect_near(down(to), y, tolerance, "conv");
  backend_->conv2d(x, w, p.spec, {.bias = bias, .add = add, .relu = true}, to);
  expect_near(down(to), clipped, tolerance, "conv with bias, residual, ReLU");
  backend_->conv2d(x, w, p.spec, {.bias = bias, .add = add}, add);  // in place
  expect_near(down(add), behind, tolerance, "conv with a residual that lies in y");

  const auto twice = [](Expected e, const std::vector<double>& before) {
    for (size_t i = 0; i < before.size(); ++i) e.add(i, before[i]);
    return e;
  };
  const Tensor gx = up(p.x_shape, p.x, offset), gw = up(p.w_shape, p.w, offset);
  backend_->conv2d_input_gradient(dy, w, p.spec, {gx, Write::accumulate});
  expect_near(down(gx), twice(dx, p.x), tolerance, "input gradient, added");
  backend_->conv2d_input_gradient(dy, w, p.spec, gx);
  expect_near(down(gx), dx, tolerance, "input gradient");
  backend_->conv2d_weight_gradient(x, dy, p.spec, {gw, Write::accumulate});
  expect_near(down(gw), twice(dw, p.w), tolerance, "weight gradient, added");
  backend_->conv2d_weight_gradient(x, dy, p.spec, gw);
  expect_near(down(gw), dw, tolerance, "weight gradient");
  const Tensor master = up(p.w_shape, p.w, offset, DType::f32);
  backend_->conv2d_weight_gradient(x, dy, p.spec, {master, Write::accumulate});
  expect_near(down(master), twice(dw, p.w), tolerance, "weight gradient in f32, added");
}

TEST_P(ConvolutionsInEveryType, AreTheSumsOfTheirProducts) {
  for (const Case& c : cases) {
    SCOPED_TRACE(text(c.channels, " to ", c.outputs, ", kernel ", c.kernel, ", groups ", c.groups));
    check_all(c, 0);
  }
}

// A tensor may begin at any element: where an engine wants more, it is copied.
TEST_P(ConvolutionsInEveryType, ReadTensorsThatAreAlignedToAnElementOnly) {
  check_all(cases[0], 1);
  check_all(cases[1], 3);
}

TEST_P(ConvolutionsInEveryType, ReplayWhatWasCaptured) {
  if (!backend_->can_capture()) GTEST_SKIP() << "the backend does not capture";
  const Problem p(cases[4]), larger(cases[1]);
  const Tensor x = up(p.x_shape, p.x), w = up(p.w_shape, p.w), y = up(p.y_shape, p.dy),
               bias = up(Shape{p.y_shape[3]}, p.bias, 0, DType::f32);
  const auto run = [&] { backend_->conv2d(x, w, p.spec, {.bias = bias, .add = {}, .relu = true}, y); };
  run();
  const std::vector<double> eager = down(y);
  backend_->begin_capture();
  run();
  const int graph = backend_->end_capture();
  // What comes later may need more workspace: the captured one stays where it is.
  const Tensor x2 = up(larger.x_shape, larger.x), w2 = up(larger.w_shape, larger.w),
               y2 = up(larger.y_shape, larger.dy);
  backend_->conv2d(x2, w2, larger.spec, {}, y2);
  backend_->fill(y, 77);
  backend_->replay(graph);
  EXPECT_EQ(down(y), eager);
}

INSTANTIATE_TEST_SUITE_P(Backends, ConvolutionsInEveryType,
                         ::testing::Values(Target{"portable", false, DType::f32, false, 2e-6},
                                           Target{"cuda_f32", true, DType::f32, false, 2e-6},
                                           Target{"cuda_tf32", true, DType::f32, true, 2e-3},
                                           Target{"cuda_bf16", true, DType::bf16, true, 8e-3},
                                           Target{"cuda_f16", true, DType::f16, true, 1e-3}),
                         [](const auto& instance) { return std::string(instance.param.name); });

// --- the layer itself
// ----------------------------------------------------------------------------------------

class CudnnLayer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = cuda_missing(); !missing.empty()) GTEST_SKIP() << missing;
    backend_ = make_cuda({});
    ASSERT_EQ(cudaStreamCreate(&stream_), cudaSuccess);
  }
  void TearDown() override {
    if (stream_) cudaStreamDestroy(stream_);
  }

  // A convolution's result; what is enqueued runs on a stream of its own.
  std::vector<double> run(CudnnGraphs& graphs) {
    const Problem p(cases[1]);
    Arena arena(*backend_);
    const Array x = uploaded(arena, *backend_, p.x_shape, DType::f32, p.x, 0),
                w = uploaded(arena, *backend_, p.w_shape, DType::f32, p.w, 0),
                y = uploaded(arena, *backend_, p.y_shape, DType::f32, p.dy, 0);
    backend_->synchronise();
    EXPECT_TRUE(graphs.conv_forward(x, w, p.spec, {}, y));
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return downloaded(*backend_, y);
  }

  std::unique_ptr<Backend> backend_;
  cudaStream_t stream_ = nullptr;
};

TEST_F(CudnnLayer, PlansOnceAndReadsItsPlansAgain) {
  const testing::TempFolder folder;
  for (const bool tune : {false, true}) {
    const CudnnOptions options{.tune = tune, .plans = (folder / (tune ? "tuned" : "chosen")).string()};
    std::vector<double> first;
    {
      CudnnGraphs graphs(options, *backend_, stream_);
      first = run(graphs);
      EXPECT_EQ(run(graphs), first);
      EXPECT_EQ(graphs.counters().planned, 1);
      EXPECT_EQ(graphs.counters().read, 0);
    }
    CudnnGraphs again(options, *backend_, stream_);
    EXPECT_EQ(run(again), first);
    EXPECT_EQ(again.counters().planned, 0);
    EXPECT_EQ(again.counters().read, 1);
  }
}

TEST_F(CudnnLayer, PlansNothingInACapture) {
  CudnnGraphs graphs({}, *backend_, stream_);
  const Problem p(cases[1]);
  Arena arena(*backend_);
  const Array x = uploaded(arena, *backend_, p.x_shape, DType::f32, p.x, 0),
              w = uploaded(arena, *backend_, p.w_shape, DType::f32, p.w, 0),
              y = uploaded(arena, *backend_, p.y_shape, DType::f32, p.dy, 0);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  const std::string message =
      testing::error_of(Fault::internal, [&] { graphs.conv_forward(x, w, p.spec, {}, y); });
  EXPECT_NE(message.find("conv f32 x[3,8,8,16]"), std::string::npos) << message;
  cudaGraph_t captured = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &captured), cudaSuccess);
  if (captured) cudaGraphDestroy(captured);
}

// cuDNN's batch norm against the backend's own, which the table of op cases holds against the portable one.
TEST_F(CudnnLayer, BatchNormsAreTheBackends) {
  CudnnGraphs graphs({}, *backend_, stream_);
  Arena arena(*backend_);
  const Shape shape{4, 6, 6, 16};
  std::vector<double> values, other, parameters, ones(16, 1.);
  for (int64_t i = 0; i < shape.size(); ++i) {
    values.push_back(value_of(uint64_t(i)));
    other.push_back(value_of(uint64_t(i) + 4000003));
  }
  for (uint64_t i = 0; i < 16; ++i) parameters.push_back(value_of(i + 5000003) + 2.5);
  const auto up = [&](const Shape& s, const std::vector<double>& v) {
    return uploaded(arena, *backend_, s, DType::f32, v, 0);
  };
  const Array x = up(shape, values), add = up(shape, other), gamma = up({16}, parameters),
              beta = up({16}, ones);
  const BatchNormSpec spec{.relu = true};
  std::vector<double> results[2];
  for (const bool cudnn : {false, true}) {
    const Array rm = up({16}, parameters), rv = up({16}, ones), mean = up({16}, ones),
                inverse = up({16}, ones), y = up(shape, other), dx = up(shape, other),
                dgamma = up({16}, ones), dbeta = up({16}, ones);
    backend_->synchronise();
    if (cudnn) {
      EXPECT_TRUE(graphs.batch_norm_train(x, gamma, beta, add, spec, rm, rv, mean, inverse, y));
      EXPECT_TRUE(
          graphs.batch_norm_gradient(x, y, add, gamma, {}, mean, inverse, true, dx, dgamma, dbeta, {}));
      EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    } else {
      backend_->batch_norm_train(x, gamma, beta, add, spec, rm, rv, mean, inverse, y);
      backend_->batch_norm_gradient(x, y, add, gamma, {}, mean, inverse, true, dx, dgamma, dbeta, {});
    }
    for (const Array* a : {&y, &mean, &inverse, &rm, &rv, &dx, &dgamma, &dbeta}) {
      const std::vector<double> found = downloaded(*backend_, *a);
      results[cudnn].insert(results[cudnn].end(), found.begin(), found.end());
    }
  }
  for (size_t i = 0; i < results[0].size(); ++i)
    ASSERT_NEAR(results[1][i], results[0][i], 1e-4 * (1 + std::abs(results[0][i]))) << i;
  const Array mean = up({16}, ones);
  EXPECT_FALSE(
      graphs.batch_norm_train(x, gamma, beta, add, {}, mean, mean, mean, mean, x));  // add without ReLU
}

}  // namespace
}  // namespace retort
