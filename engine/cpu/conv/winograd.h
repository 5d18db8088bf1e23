// Cuts Winograd convolutions (winograd_kernels.h) into tasks for the thread pool.
#pragma once
#include "engine/cpu/conv/conv_runner.h"
#include "engine/cpu/conv/winograd_kernels.h"

namespace retort {

class Winograd {
 public:
  explicit Winograd(const Workers& workers);

  // Whether it computes this correlation at all: a 3x3 window of stride 1, channels that fill vectors.
  bool can(const Source<float>& x, int64_t outputs) const;
  // The static choice between this and direct summation: it can, and there are enough tiles to pay for the
  // transforms, of which those of the weights count unless they are packed once.
  bool suits(const Source<float>& x, int64_t outputs, bool packed_once = false) const;

  // As ConvRunner's.
  static int64_t packed_size(int64_t channels, int64_t outputs) {
    return winograd_frequencies * channels * outputs;
  }
  void pack(int64_t channels, int64_t outputs, const WeightView<float>& w, float* packed) const;
  void correlate(const Source<float>& x, const Target<float>& y, const float* packed) const;
  int64_t scratch_size(const Source<float>& x, int64_t outputs) const;
  void correlate(const Source<float>& x, const Target<float>& y, const WeightView<float>& w) const;
  void weight_gradient(const Source<float>& x, const float* dy, int64_t outputs, float* dw,
                       bool accumulate) const;

 private:
  struct Plan;
  Plan plan(const Source<float>& x, int64_t outputs, int64_t least_tiles) const;
  int64_t chunk_of(int64_t outputs) const;
  // Frequencies of the operands of a part, made by way of a padded copy; both in scratch.
  void transform_input(const Source<float>& x, const Plan& plan, int64_t part, float* padded,
                       float* to) const;

  // The same of dy, whose pixels are `pixel` elements apart and of which `channels` are wanted.
  void transform_gradient(const Source<float>& x, const float* dy, int64_t pixel, int64_t channels,
                          const Plan& plan, int64_t part, float* padded, float* to) const;

  const Workers workers_;
  const ConvKernels<float>& kernels_;
  const WinogradKernels<float>& winograd_;
};

}  // namespace retort
