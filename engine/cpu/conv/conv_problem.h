// A convolution in plain data: what an algorithm is chosen for, and what it is chosen from.
#pragma once
#include <compare>
#include <cstdint>

#include "engine/backend.h"

namespace retort {

enum class ConvPass { forward, input_gradient, weight_gradient };

// direct: Portable's sums, depthwise ones too. winograd: F(4x4, 3x3), Portable's too. onednn: oneDNN's direct
// ones. The same operands give other bits by another algorithm.
enum class ConvAlgorithm { direct, winograd, onednn };

// x is images x height x width x channels, y images x out_height x out_width x outputs, in every pass.
struct ConvProblem {
  ConvPass pass;
  int64_t images, height, width, channels, out_height, out_width, outputs, kernel_height, kernel_width;
  int64_t stride, pad, groups;
  bool bias = false, add = false, relu = false;  // forward
  bool accumulate = false;                       // gradients
  auto operator<=>(const ConvProblem&) const = default;

  int64_t input_size() const { return height * width * channels; }  // of one image
  int64_t output_size() const { return out_height * out_width * outputs; }
  int64_t products() const { return output_size() * kernel_height * kernel_width * (channels / groups); }
};

inline ConvProblem problem_of(ConvPass pass, const Shape& x, const Shape& w, const Shape& y,
                              const Conv2dSpec& spec) {
  return {pass, x[0], x[1], x[2], x[3], y[1], y[2], y[3], w[1], w[2], spec.stride, spec.pad, spec.groups};
}

}  // namespace retort
