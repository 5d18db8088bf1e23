// One kernel, as what wraps a backend sees it.
#pragma once
#include "engine/shape.h"

namespace retort {

// FLOPs count what the formula needs (a convolution's are those of the direct one, so Winograd may exceed
// what the cores can do); bytes count every operand once, or twice if it is added to, as if caches held all
// they could. 0: not known.
struct KernelCall {
  const char* op;  // "conv2d", a row kernel's name
  Shape in, weight, out;
  double flops = 0, bytes = 0;
};

}  // namespace retort
