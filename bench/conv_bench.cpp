// The three passes of the convolutions of the CIFAR ResNets, at batch 64, through a CPU backend with one
// thread. RETORT_ISA lowers the instruction set; RETORT_BENCH_DEVICE=onednn measures oneDNN,
// RETORT_BENCH_THREADS=2 two threads; pytorch_conv.py measures PyTorch. Counters: GFLOP/s, and the share of
// what one core can multiply and add in registers.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "engine/cpu/fma_peak.h"
#include "engine/device.h"

namespace retort {
namespace {

struct Layer {
  const char* name;
  int64_t size, c, k, kernel;
  Conv2dSpec spec;
};

constexpr int64_t batch = 64;

const Layer layers[] = {
    {"stem_3_16", 32, 3, 16, 3, {1, 1, 1}},
    {"stem_3_32", 32, 3, 32, 3, {1, 1, 1}},
    {"resnet20_16", 32, 16, 16, 3, {1, 1, 1}},
    {"resnet20_16_32_s2", 32, 16, 32, 3, {2, 1, 1}},
    {"resnet20_32", 16, 32, 32, 3, {1, 1, 1}},
    {"resnet20_32_64_s2", 16, 32, 64, 3, {2, 1, 1}},
    {"resnet20_64", 8, 64, 64, 3, {1, 1, 1}},
    {"down_16_32", 32, 16, 32, 1, {2, 0, 1}},
    {"down_32_64", 16, 32, 64, 1, {2, 0, 1}},
    {"resnet8x4_64", 32, 64, 64, 3, {1, 1, 1}},
    {"resnet8x4_64_128_s2", 32, 64, 128, 3, {2, 1, 1}},
    {"resnet8x4_128", 16, 128, 128, 3, {1, 1, 1}},
    {"resnet8x4_128_256_s2", 16, 128, 256, 3, {2, 1, 1}},
    {"resnet8x4_256", 8, 256, 256, 3, {1, 1, 1}},
    {"down_128_256", 16, 128, 256, 1, {2, 0, 1}},
    {"wide_1x1_256_64", 8, 256, 64, 1, {1, 0, 1}},
    {"depthwise_64", 16, 64, 64, 3, {1, 1, 64}},
};

Device& device() {
  static const auto opened = [] {
    const char* name = std::getenv("RETORT_BENCH_DEVICE");
    const char* threads = std::getenv("RETORT_BENCH_THREADS");
    return Device::open({name ? name : "portable", threads ? std::atoi(threads) : 1});
  }();
  return *opened;
}

void report(benchmark::State& state, double flops) {
  static const double peak = fma_peak(best_isa());
  using benchmark::Counter;
  state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["peak"] = Counter(flops / peak, Counter::kIsIterationInvariantRate);
}

enum class Pass { forward, input_gradient, weight_gradient };

void convolution(benchmark::State& state, const Layer& t, Pass pass) {
  Device& d = device();
  const int64_t out = (t.size + 2 * t.spec.pad - t.kernel) / t.spec.stride + 1;
  const Array x = d.persistent({batch, t.size, t.size, t.c}, DType::f32, 0.5);
  const Array w = d.persistent({t.k, t.kernel, t.kernel, t.c / t.spec.groups}, DType::f32, 0.1);
  const Array y = d.persistent({batch, out, out, t.k}, DType::f32, 0.25);
  Backend& backend = d.backend();
  for (auto _ : state) {
    if (pass == Pass::forward) backend.conv2d(x, w, t.spec, {}, y);
    if (pass == Pass::input_gradient) backend.conv2d_input_gradient(y, w, t.spec, x);
    if (pass == Pass::weight_gradient) backend.conv2d_weight_gradient(x, y, t.spec, w);
  }
  report(state, 2.0 * double(y.tensor.size()) * double(w.tensor.size() / t.k));
}

void product(benchmark::State& state, int64_t rows, int64_t inner, int64_t columns, bool ta, bool tb) {
  Device& d = device();
  const Array a = d.persistent(ta ? Shape{inner, rows} : Shape{rows, inner}, DType::f32, 0.5);
  const Array b = d.persistent(tb ? Shape{columns, inner} : Shape{inner, columns}, DType::f32, 0.1);
  const Array c = d.persistent({rows, columns}, DType::f32, 0);
  for (auto _ : state) d.backend().matmul(a, ta, b, tb, {}, c);
  report(state, 2.0 * double(rows * inner * columns));
}

[[maybe_unused]] const bool registered = [] {
  for (const Layer& t : layers) {
    const std::string name = std::string("conv/") + t.name;
    benchmark::RegisterBenchmark((name + "/forward").c_str(), convolution, t, Pass::forward);
    benchmark::RegisterBenchmark((name + "/dx").c_str(), convolution, t, Pass::input_gradient);
    benchmark::RegisterBenchmark((name + "/dw").c_str(), convolution, t, Pass::weight_gradient);
  }
  benchmark::RegisterBenchmark("matmul/fc_64/forward", product, 64, 64, 100, false, true);
  benchmark::RegisterBenchmark("matmul/fc_64/dx", product, 64, 100, 64, false, false);
  benchmark::RegisterBenchmark("matmul/fc_64/dw", product, 100, 64, 64, true, false);
  benchmark::RegisterBenchmark("matmul/512", product, 512, 512, 512, false, false);
  return true;
}();

}  // namespace
}  // namespace retort
