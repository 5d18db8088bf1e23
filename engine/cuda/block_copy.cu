#include "engine/cuda/block_copy.h"
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort {

namespace {

template <class From, class To>
cudaError_t copy(cudaStream_t stream, const void* from_data, const Block& a, void* to_data, const Block& b,
                 bool accumulate) {
  const From* from = static_cast<const From*>(from_data);
  To* to = static_cast<To*>(to_data);
  return launch_each(stream, b.size(), [=] __device__(int64_t i) {
    const int64_t place = from ? place_in(a, b, i) : -1;
    const float value = place >= 0 ? to_float(from[place]) : 0.f;
    put(to + i, value, accumulate);
  });
}

template <class X, class B>
cudaError_t epilogue(cudaStream_t stream, void* y_data, int64_t rows, int64_t columns, const void* bias_data,
                     const void* add_data, bool relu) {
  X* y = static_cast<X*>(y_data);
  const B* bias = static_cast<const B*>(bias_data);
  const X* add = static_cast<const X*>(add_data);
  return launch_each(stream, rows * columns, [=] __device__(int64_t i) {
    float value = to_float(y[i]);
    if (bias) value += to_float(bias[divide(i, columns).rest]);
    if (add) value += to_float(add[i]);
    if (relu && value < 0) value = 0;  // NaN stays NaN, as everywhere in the engine
    y[i] = from_float<X>(value);
  });
}

}  // namespace

cudaError_t copy_block(cudaStream_t stream, DType from_type, const void* from, const Block& from_block,
                       DType to_type, void* to, const Block& to_block, bool accumulate) {
  // Only another type, or a sum: no coordinates are needed.
  if (from && from_block == to_block)
    return cast_kernel(stream, from_type, from, to_type, to, to_block.size(), accumulate);
  return with_element(from_type, [&]<class From>() {
    return with_element(to_type, [&]<class To>() {
      return copy<From, To>(stream, from, from_block, to, to_block, accumulate);
    });
  });
}

cudaError_t conv_epilogue(cudaStream_t stream, DType type, void* y, int64_t rows, int64_t columns,
                          DType bias_type, const void* bias, const void* add, bool relu) {
  return with_element(type, [&]<class X>() {
    return bias_type == DType::f32 ? epilogue<X, float>(stream, y, rows, columns, bias, add, relu)
                                   : epilogue<X, X>(stream, y, rows, columns, bias, add, relu);
  });
}

}  // namespace retort
