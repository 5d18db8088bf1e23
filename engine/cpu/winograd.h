// Cuts Winograd convolutions (winograd_kernels.h) into tasks for the thread pool.
#pragma once
#include "engine/cpu/conv_runner.h"
#include "engine/cpu/winograd_kernels.h"

namespace retort {

class Winograd {
 public:
  explicit Winograd(Portable& backend);

  // The static choice between this and direct summation: a 3x3 window of stride 1, channels that fill
  // vectors, and enough tiles to pay for the transforms.
  bool suits(const Source<float>& x, int64_t outputs) const;

  // As ConvRunner's.
  void correlate(const Source<float>& x, const Target<float>& y, const WeightView<float>& w);
  void weight_gradient(const Source<float>& x, const float* dy, int64_t outputs, float* dw, bool accumulate);

 private:
  struct Plan;
  Plan plan(const Source<float>& x, int64_t outputs, int64_t least_tiles) const;
  // Frequencies of the operands of a part, made by way of a padded copy; both in scratch.
  void transform_input(const Source<float>& x, const Plan& plan, int64_t part, float* padded,
                       float* to) const;

  // The same of dy, whose pixels are `pixel` elements apart and of which `channels` are wanted.
  void transform_gradient(const Source<float>& x, const float* dy, int64_t pixel, int64_t channels,
                          const Plan& plan, int64_t part, float* padded, float* to) const;

  Portable& backend_;
  const ConvKernels<float>& kernels_;
  const WinogradKernels<float>& winograd_;
};

}  // namespace retort
