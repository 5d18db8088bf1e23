#include "engine/cpu/batch_norm_kernels.h"

#include "engine/cpu/column_loops.h"

namespace retort {

namespace {

template <class T>
void moments(const T* x, int64_t rows, int64_t channels, T* mean, T* squares) {
  T* const mean_sum[1] = {mean};
  sum_columns<T, 1, 0>(
      rows, channels, nullptr, mean_sum,
      [=](int64_t i, int64_t j, const Lanes<T, 0>&, T(*total)[stripe]) { total[0][j] += x[i]; });
  const T scale = T(1) / T(rows);
  for (int64_t c = 0; c < channels; ++c) mean[c] *= scale;
  const T* const params[1] = {mean};
  T* const square_sum[1] = {squares};
  sum_columns<T, 1, 1>(rows, channels, params, square_sum,
                       [=](int64_t i, int64_t j, const Lanes<T, 1>& lanes, T(*total)[stripe]) {
                         const T d = x[i] - lanes.v[0][j];
                         total[0][j] += d * d;
                       });
}

template <class T, bool masked>
RETORT_HD T masked_gradient(const T* y, const T* dy, int64_t i) {
  const T g = dy[i];  // read in any case, or the loop around it is not vectorised
  if constexpr (masked) return y[i] > T(0) ? g : T(0);
  else return g;
}

template <class T, bool masked>
void gradient_sums_as(const BatchNormBlock<T>& block, const T* mean, const T* inverse_std, T* sum_g, T* sum_gx) {
  const T *x = block.x, *y = block.y, *dy = block.dy;
  const T* const params[2] = {mean, inverse_std};
  T* const sums[2] = {sum_g, sum_gx};
  sum_columns<T, 2, 2>(block.rows, block.channels, params, sums,
                       [=](int64_t i, int64_t j, const Lanes<T, 2>& lanes, T(*total)[stripe]) {
                         const T g = masked_gradient<T, masked>(y, dy, i);
                         total[0][j] += g;
                         total[1][j] += g * ((x[i] - lanes.v[0][j]) * lanes.v[1][j]);
                       });
}

template <class T>
void gradient_sums(const BatchNormBlock<T>& block, const T* mean, const T* inverse_std, T* sum_g, T* sum_gx) {
  if (block.y) gradient_sums_as<T, true>(block, mean, inverse_std, sum_g, sum_gx);
  else gradient_sums_as<T, false>(block, mean, inverse_std, sum_g, sum_gx);
}

template <class T, bool masked, bool has_dx, bool dx_adds, bool has_dadd, bool dadd_adds>
void gradient_as(const BatchNormBlock<T>& block, const T* const* params, T* dx, T* dadd) {
  const T *x = block.x, *y = block.y, *dy = block.dy;
  for_columns<T, 4>(block.rows, block.channels, params, [=](int64_t i, int64_t j, const Lanes<T, 4>& lanes) {
    const T g = masked_gradient<T, masked>(y, dy, i);
    if constexpr (has_dx) {
      const T d = lanes.v[1][j] * g + (lanes.v[2][j] * (x[i] - lanes.v[0][j]) + lanes.v[3][j]);
      dx[i] = dx_adds ? dx[i] + d : d;
    }
    if constexpr (has_dadd) dadd[i] = dadd_adds ? dadd[i] + g : g;
  });
}

template <class T, bool masked>
void gradient_modes(const BatchNormBlock<T>& block, const T* const* params, T* dx, bool dx_adds, T* dadd,
                    bool dadd_adds) {
  if (dx && dadd) {
    if (dx_adds && dadd_adds) gradient_as<T, masked, true, true, true, true>(block, params, dx, dadd);
    else if (dx_adds) gradient_as<T, masked, true, true, true, false>(block, params, dx, dadd);
    else if (dadd_adds) gradient_as<T, masked, true, false, true, true>(block, params, dx, dadd);
    else gradient_as<T, masked, true, false, true, false>(block, params, dx, dadd);
  } else if (dx) {
    if (dx_adds) gradient_as<T, masked, true, true, false, false>(block, params, dx, dadd);
    else gradient_as<T, masked, true, false, false, false>(block, params, dx, dadd);
  } else if (dadd) {
    if (dadd_adds) gradient_as<T, masked, false, false, true, true>(block, params, dx, dadd);
    else gradient_as<T, masked, false, false, true, false>(block, params, dx, dadd);
  }
}

template <class T>
void gradient(const BatchNormBlock<T>& block, const T* mean, const T* a, const T* b, const T* c, T* dx,
              bool dx_accumulates, T* dadd, bool dadd_accumulates) {
  const T* const params[4] = {mean, a, b, c};
  if (block.y) gradient_modes<T, true>(block, params, dx, dx_accumulates, dadd, dadd_accumulates);
  else gradient_modes<T, false>(block, params, dx, dx_accumulates, dadd, dadd_accumulates);
}

template <class T>
constexpr BatchNormKernels<T> table = {moments<T>, gradient_sums<T>, gradient<T>};

}  // namespace

template <>
const BatchNormKernels<float>& batch_norm_kernels<float, Isa::RETORT_ISA>() {
  return table<float>;
}
template <>
const BatchNormKernels<double>& batch_norm_kernels<double, Isa::RETORT_ISA>() {
  return table<double>;
}

}  // namespace retort
