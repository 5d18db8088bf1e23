// How a CPU backend chooses the algorithm of a convolution: from a static table, or by measuring.
#include <algorithm>
#include <chrono>

#include "engine/base/processor.h"
#include "engine/base/text.h"
#include "engine/cpu/conv/winograd.h"
#include "engine/cpu/conv_tuning.h"
#include "engine/cpu/portable.h"

namespace retort {

namespace {

// The positions that Winograd would compute: of y, or of dx. Where the stride is not 1 this is not how an
// input gradient is summed, but then Winograd is no choice.
Source<float> windows_of(const ConvProblem& p) {
  const bool backward = p.pass == ConvPass::input_gradient;
  Source<float> windows{};
  windows.images = p.images;
  windows.groups = p.groups;
  windows.channels = (backward ? p.outputs : p.channels) / p.groups;
  windows.channel_step = 1;
  windows.stride = p.stride;
  windows.rows = p.kernel_height;
  windows.columns = p.kernel_width;
  windows.height = backward ? p.height : p.out_height;
  windows.width = backward ? p.width : p.out_width;
  return windows;
}

int64_t winograd_outputs(const ConvProblem& p) {
  return (p.pass == ConvPass::input_gradient ? p.channels : p.outputs) / p.groups;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

ConvAlgorithm Portable::static_algorithm(const ConvProblem& problem) {
  return Winograd(workers()).suits(windows_of(problem), winograd_outputs(problem)) ? ConvAlgorithm::winograd
                                                                                   : ConvAlgorithm::direct;
}

std::vector<ConvAlgorithm> Portable::algorithms(const ConvProblem& problem) {
  std::vector<ConvAlgorithm> all = {ConvAlgorithm::direct};
  if (Winograd(workers()).can(windows_of(problem), winograd_outputs(problem)))
    all.push_back(ConvAlgorithm::winograd);
  return all;
}

ConvAlgorithm Portable::algorithm_for(const ConvProblem& problem, DType type) {
  if (type != DType::f32 || problem.images * problem.input_size() * problem.output_size() == 0)
    return ConvAlgorithm::direct;
  return tuning_ ? measured_algorithm(problem) : static_algorithm(problem);
}

ConvAlgorithm Portable::measured_algorithm(const ConvProblem& problem) {
  if (!tuning_->opened()) tuning_->open(text(description(), ", ", processor_name()));
  const std::vector<ConvAlgorithm> all = algorithms(problem);
  const std::optional<ConvAlgorithm> known = tuning_->find(problem);
  if (known && std::find(all.begin(), all.end(), *known) != all.end()) return *known;

  // On operands of our own: a residual and a gradient that is added to must not be changed.
  const ConvProblem& p = problem;
  Arena arena(*this);
  const auto made = [&](const Shape& shape) {
    Array array(arena, shape, DType::f32);
    fill(array, 0.5);
    return array;
  };
  const Conv2dSpec spec{int(p.stride), int(p.pad), int(p.groups)};
  const Array x = made({p.images, p.height, p.width, p.channels}),
              w = made({p.outputs, p.kernel_height, p.kernel_width, p.channels / p.groups}),
              y = made({p.images, p.out_height, p.out_width, p.outputs}), bias = made({p.outputs});
  const Array add = p.add ? made(y.tensor.shape) : Array();
  const ConvEpilogue epilogue{p.bias ? bias.tensor : Tensor(), add.tensor, p.relu};
  const Write write = p.accumulate ? Write::accumulate : Write::overwrite;
  const auto run = [&](ConvAlgorithm algorithm) {
    if (p.pass == ConvPass::forward) conv2d_by(algorithm, x, w, spec, epilogue, y);
    if (p.pass == ConvPass::input_gradient)
      conv2d_input_gradient_by(algorithm, y, w, spec, Sink(x.tensor, write));
    if (p.pass == ConvPass::weight_gradient)
      conv2d_weight_gradient_by(algorithm, x, y, spec, Sink(w.tensor, write));
  };

  // In turns, until there are enough of them; large ones need fewer.
  constexpr int least_rounds = 3, most_rounds = 9;
  constexpr double enough_seconds = 0.2;
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> milliseconds(all.size());
  for (const ConvAlgorithm algorithm : all) run(algorithm);
  const auto begin = Clock::now();
  for (int round = 0; round < most_rounds; ++round) {
    if (round >= least_rounds && std::chrono::duration<double>(Clock::now() - begin).count() > enough_seconds)
      break;
    for (size_t i = 0; i < all.size(); ++i) {
      const auto start = Clock::now();
      run(all[i]);
      milliseconds[i].push_back(1e3 * std::chrono::duration<double>(Clock::now() - start).count());
    }
  }

  // The static table's choice stands where another one gains next to nothing: measurements scatter.
  constexpr double least_gain = 0.03;
  const ConvAlgorithm usual = static_algorithm(problem);
  ConvAlgorithm best = usual;
  std::string remark;
  double best_time = 0;
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i] == usual) best_time = (1 - least_gain) * median(milliseconds[i]);
  for (size_t i = 0; i < all.size(); ++i) {
    const double time = median(milliseconds[i]);
    remark += text(i > 0 ? ", " : "", name_of(all[i]), ' ', time, " ms");
    if (time < best_time) best = all[i], best_time = time;
  }
  tuning_->add(problem, best, remark);
  return best;
}

}  // namespace retort
