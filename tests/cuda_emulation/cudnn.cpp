// Convolutions in the place of cuDNN's: sums in f64, rounded once. RETORT_EMULATED_CUDNN says what there are
// engines for, so that every recipe is tried: all; aligned: 16 bytes of channels, nothing added, one type;
// bare: nothing behind the convolution; h100: as far as is known, what cuDNN 9.19 has for an H100 (one type, everything
// behind a convolution); waits: all, but the first plan of each waits for the device; none.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "engine/base/check.h"
#include "engine/cuda/cudnn/execute.h"
#include "engine/types.h"
#include "tests/cuda_emulation/stream.h"

namespace retort {

namespace {

bool has_engine(const CudnnProblem& p) {
  const char* given = std::getenv("RETORT_EMULATED_CUDNN");
  const std::string kind = given ? given : "all";
  const int64_t step = 16 / int64_t(size_of(p.type));
  if (!is_convolution(p.op) || kind == "none") return false;
  if (kind == "bare") return !p.bias && !p.add && !p.relu && !p.accumulate;
  if (kind == "aligned")
    return p.channels / p.groups % step == 0 && p.outputs / p.groups % step == 0 && !p.accumulate &&
           p.result == p.type;
  if (kind == "h100") return p.result == p.type;
  check(kind == "all" || kind == "waits", Fault::usage, "RETORT_EMULATED_CUDNN is '", kind,
        "', expected all, aligned, bare, h100, waits, none");
  return true;
}

double element(const void* data, DType type, int64_t i) {
  return type == DType::f32 ? static_cast<const float*>(data)[i]
                            : float_of_bits16(type, static_cast<const uint16_t*>(data)[i]);
}
void set_element(void* data, DType type, int64_t i, double value) {
  if (type == DType::f32)
    static_cast<float*>(data)[i] = float(value);
  else
    static_cast<uint16_t*>(data)[i] = bits16_of(type, float(value));
}

std::mutex known_mutex;
std::map<std::string, CudnnPlan> known;  // by what they serialise to

using Operands = std::map<CudnnSlot, void*>;

std::vector<double> values_of(const CudnnProblem& p, const Operands& operands, CudnnSlot slot) {
  std::vector<double> values(size_t(block_of(p, slot).size()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = element(operands.at(slot), type_of(p, slot), int64_t(i));
  return values;
}

// Calls f(place in x, place in w, place in y) for the first channel of every run of products.
template <class F>
void each_run(const CudnnProblem& p, F f) {
  const int64_t in_group = p.channels / p.groups, out_group = p.outputs / p.groups;
  for (int64_t n = 0; n < p.images; ++n)
    for (int64_t i = 0; i < p.out_height; ++i)
      for (int64_t j = 0; j < p.out_width; ++j)
        for (int64_t r = 0; r < p.kernel_height; ++r)
          for (int64_t s = 0; s < p.kernel_width; ++s) {
            const int64_t h = i * p.stride + r - p.pad, v = j * p.stride + s - p.pad;
            if (h < 0 || h >= p.height || v < 0 || v >= p.width) continue;
            for (int64_t k = 0; k < p.outputs; ++k)
              f(size_t(((n * p.height + h) * p.width + v) * p.channels + k / out_group * in_group),
                size_t(((k * p.kernel_height + r) * p.kernel_width + s) * in_group),
                size_t(((n * p.out_height + i) * p.out_width + j) * p.outputs + k));
          }
}

void compute(const CudnnProblem& p, const Operands& operands) {
  const bool forward = p.op == CudnnOp::conv, input = p.op == CudnnOp::conv_input_gradient;
  const CudnnSlot target = forward ? CudnnSlot::y : input ? CudnnSlot::dx : CudnnSlot::dw;
  std::vector<double> x, w, dy, sums(size_t(block_of(p, target).size()));
  if (!input) x = values_of(p, operands, CudnnSlot::x);
  if (forward || input) w = values_of(p, operands, CudnnSlot::w);
  if (!forward) dy = values_of(p, operands, CudnnSlot::dy);
  const auto run = size_t(p.channels / p.groups);
  each_run(p, [&](size_t at_x, size_t at_w, size_t at_y) {
    for (size_t c = 0; c < run; ++c) {
      if (forward)
        sums[at_y] += x[at_x + c] * w[at_w + c];
      else if (input)
        sums[at_x + c] += dy[at_y] * w[at_w + c];
      else
        sums[at_w + c] += dy[at_y] * x[at_x + c];
    }
  });
  std::vector<double> bias, add;
  if (p.bias) bias = values_of(p, operands, CudnnSlot::bias);
  if (p.add) add = values_of(p, operands, CudnnSlot::add);
  void* const to = operands.at(target);
  for (size_t i = 0; i < sums.size(); ++i) {
    double value = sums[i];
    if (p.add) value += add[i];
    if (p.bias) value += bias[i % bias.size()];
    if (p.relu && value < 0) value = 0;  // NaN stays
    if (p.accumulate) value += element(to, p.result, int64_t(i));
    set_element(to, p.result, int64_t(i), value);
  }
}

}  // namespace

bool cudnn_computes(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16;
}

std::vector<CudnnPlan> make_cudnn_plans(const CudnnProblem& problem, const CudnnOptions&, const CudnnTarget&,
                                        size_t) {
  if (!has_engine(problem)) return {};
  const char* kind = std::getenv("RETORT_EMULATED_CUDNN");
  std::vector<CudnnPlan> plans;
  if (kind && std::string(kind) == "waits") plans.emplace_back(problem, true);
  plans.emplace_back(problem);
  const std::lock_guard lock(known_mutex);
  for (const CudnnPlan& plan : plans) known.emplace(plan.serialised(), plan);
  return plans;
}

std::optional<CudnnPlan> read_cudnn_plan(const std::string& serialised, const CudnnTarget&) {
  const std::lock_guard lock(known_mutex);
  const auto found = known.find(serialised);
  if (found == known.end()) return std::nullopt;
  return found->second;
}

void execute_cudnn_plan(const CudnnPlan& plan, cudnnHandle_t handle, const std::vector<int64_t>& ids,
                        const std::vector<void*>& pointers, void* workspace, const CudnnProblem& problem) {
  check(plan.problem == problem && workspace != nullptr, "emulated cuDNN: ", problem, " with another's plan");
  if (plan.waits && cudaStreamSynchronize(handle->stream) != cudaSuccess)
    fail(Fault::internal, "emulated cuDNN: an engine waits while a step is captured");
  if (is_convolution(problem.op)) {  // what cuDNN itself wants, see CudnnPlans.VariantPacksNameTheTensorsWithMemory
    std::set<int64_t> wanted, given(ids.begin(), ids.end());
    for (const CudnnSlot slot : slots_of(problem)) wanted.insert(int64_t(slot));
    check(given == wanted && given.size() == ids.size(), "emulated cuDNN: ", problem, " with ", ids.size(),
          " tensors, expected ", wanted.size(), " others");
  }
  Operands operands;
  for (size_t i = 0; i < ids.size(); ++i) {
    check(pointers[i] && reinterpret_cast<uintptr_t>(pointers[i]) % CudnnPlan::alignment == 0,
          "emulated cuDNN: ", problem, ": operand ", ids[i], " is not aligned");
    operands[CudnnSlot(ids[i])] = pointers[i];
  }
  emulation::enqueue_work(handle->stream, "cuDNN " + text(problem), [operands, problem, workspace, bytes = size_t(plan.workspace())] {
    std::memset(workspace, 0xff, bytes);  // an engine may leave anything there
    compute(problem, operands);
  });
}

}  // namespace retort
