// The row kernels of detectors' ops, listed once: CMake makes units of them (retort_row_kernels).
#pragma once
#include "engine/kernels/regions/roi_rows.h"
#include "engine/kernels/regions/simple_rows.h"

// clang-format off
#define RETORT_REGION_ROW_KERNELS_OF(X, T)                                                      \
  X(retort::GatherRowsRow<T>) X(retort::AddToRowsRow<T>)                                        \
  X(retort::RoiAlignRow<T>) X(retort::RoiAlignGradientRow<T>)                                   \
  X(retort::ElementRow<T, retort::Softplus>) X(retort::ElementGradientRow<T, retort::Softplus>) \
  X(retort::ElementRow<T, retort::Relu6>) X(retort::ElementGradientRow<T, retort::Relu6>)
#define RETORT_REGION_ROW_KERNELS(X)      \
  RETORT_REGION_ROW_KERNELS_OF(X, float)  \
  RETORT_REGION_ROW_KERNELS_OF(X, double)
// clang-format on
