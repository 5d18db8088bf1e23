// Batch norm backward, in two kernels: sums over rows, then the gradients of every element.
#include "engine/cuda/batch_norm.cuh"

namespace retort {

namespace {

using namespace batch_norm;

// g = dy, or dy where y > 0.
template <class X, int n>
__device__ __forceinline__ void load_masked(const X* dy, const X* y, int64_t at, float (&g)[n]) {
  load_pack(dy + at, g);
  if (!y) return;
  float out[n];
  load_pack(y + at, out);
#pragma unroll
  for (int i = 0; i < n; ++i) g[i] = out[i] > 0.0f ? g[i] : 0.0f;
}

template <int n>
struct TwoPacks {
  float value[n], g[n];
};

// Sums of g and of g xhat; of them dbeta, dgamma, and the factors of dx = a g + b (x - mean) + c.
template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    gradient_sums(Layout l, BatchNormGradient grad, int64_t rows, int64_t channels, float* partial,
                  unsigned* tickets, float* factors) {
  const X *x = static_cast<const X*>(grad.x), *y = static_cast<const X*>(grad.y),
          *dy = static_cast<const X*>(grad.dy);
  const int64_t channel = channel_of<n>(l);
  float m[n] = {}, s[n] = {};
  if (channel < channels) {
    load_pack(grad.mean + channel, m);
    load_pack(grad.inverse_std + channel, s);
  }
  sum_rows<n, TwoPacks<n>>(
      l, rows, channels, channel, partial, tickets,
      [&](int64_t row, TwoPacks<n>& values) {
        load_pack(x + row * channels + channel, values.value);
        load_masked(dy, y, row * channels + channel, values.g);
      },
      [&](const TwoPacks<n>& values, float(&total)[2][n]) {
#pragma unroll
        for (int i = 0; i < n; ++i) {
          total[0][i] += values.g[i];
          total[1][i] += values.g[i] * ((values.value[i] - m[i]) * s[i]);
        }
      },
      [&](int64_t k, const double(&total)[2]) {
        put(grad.dbeta + k, float(total[0]), grad.dbeta_accumulates);
        put(grad.dgamma + k, float(total[1]), grad.dgamma_accumulates);
        const double inverse = double(grad.inverse_std[k]), scale = double(grad.gamma[k]) * inverse;
        factors[k] = float(scale);
        factors[channels + k] =
            grad.batch_statistics ? float(-scale * inverse * total[1] / double(rows)) : 0.0f;
        factors[2 * channels + k] = grad.batch_statistics ? float(-scale * total[0] / double(rows)) : 0.0f;
      });
}

template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    gradient(BatchNormGradient grad, int64_t packs, int64_t channels, const float* factors,
             bool same_channels) {
  const X *x = static_cast<const X*>(grad.x), *y = static_cast<const X*>(grad.y),
          *dy = static_cast<const X*>(grad.dy);
  X *dx = static_cast<X*>(grad.dx), *dadd = static_cast<X*>(grad.dadd);
  const int64_t step = int64_t(gridDim.x) * threads_per_block;
  const int64_t start = int64_t(blockIdx.x) * threads_per_block + threadIdx.x;
  float m[n], a[n], b[n], c[n];
  const auto parameters = [&](int64_t k) {
    load_pack(grad.mean + k, m);
    load_pack(factors + k, a);
    load_pack(factors + channels + k, b);
    load_pack(factors + 2 * channels + k, c);
  };
  for (int64_t i = start; i < packs; i += packs_at_once * step) {
    float value[packs_at_once][n], g[packs_at_once][n];
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      if (i + k * step >= packs) continue;
      load_masked(dy, y, (i + k * step) * n, g[k]);
      if (dx) load_pack(x + (i + k * step) * n, value[k]);
    }
    if (i == start) {
      wait_for_previous();
      if (dx && same_channels) parameters(divide(start, channels / n).rest * n);
    }
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      const int64_t at = (i + k * step) * n;
      if (i + k * step >= packs) continue;
      if (dx) {
        float old[n] = {};
        if (!same_channels) parameters(divide(i + k * step, channels / n).rest * n);
        if (grad.dx_accumulates) load_pack(dx + at, old);
#pragma unroll
        for (int j = 0; j < n; ++j)
          value[k][j] = a[j] * g[k][j] + b[j] * (value[k][j] - m[j]) + c[j] + old[j];
        store_pack(dx + at, value[k]);
      }
      if (dadd) {
        float old[n] = {};
        if (grad.dadd_accumulates) load_pack(dadd + at, old);
#pragma unroll
        for (int j = 0; j < n; ++j) old[j] += g[k][j];
        store_pack(dadd + at, old);
      }
    }
  }
}

}  // namespace

cudaError_t batch_norm_gradient_kernel(cudaStream_t stream, const BatchNormShape& shape,
                                       const BatchNormGradient& g, bool programmatic, void* scratch,
                                       unsigned* tickets) {
  float* partial = static_cast<float*>(scratch);
  return with_pack(
      shape,
      [&]<class X, int n>() {
        const Layout l = layout_of(shape, n);
        if (!fits(l)) return cudaErrorInvalidValue;
        // First in scratch, so that packs of it are aligned.
        float* factors = partial;
        float* sums = partial + 3 * shape.channels;
        gradient_sums<X, n>
            <<<dim3(unsigned(l.row_blocks), unsigned(l.channel_blocks)), threads_per_block, 0, stream>>>(
                l, g, shape.rows, shape.channels, sums, tickets, factors);
        const cudaError_t status = cudaGetLastError();
        if (status != cudaSuccess || !(g.dx || g.dadd)) return status;
        const int64_t packs = shape.rows * shape.channels / n;
        const Packs launch = packs_of(packs, shape.channels / n);
        return launch_behind(stream, launch.blocks, programmatic, gradient<X, n>, g, packs, shape.channels,
                             factors, launch.same_channels);
      },
      g.x, g.y, g.dy, g.dx, g.dadd, g.mean, g.inverse_std);
}

}  // namespace retort
