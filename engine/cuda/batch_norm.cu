// Batch norm over the rows of a rows x channels matrix (N,H,W,C images). Sums over rows are taken in two
// phases: blocks of rows into partial sums in scratch, then the blocks in order, in f64.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort {

namespace {

// A block is `across` threads over the channels, `pack` channels each, by `down` threads over the rows,
// `rows_per_thread` rows each. Channels that do not fit are other blocks.
struct Layout {
  int pack, across, down;
  int64_t row_blocks, channel_blocks;
  int64_t rows_per_block;
};

constexpr int rows_per_thread = 8;

Layout layout_of(const BatchNormShape& shape, int pack) {
  Layout l{pack, 1, 0, 0, 0, 0};
  const int64_t groups = (shape.channels + pack - 1) / pack;
  while (l.across < groups && l.across < 32) l.across *= 2;
  l.down = threads_per_block / l.across;
  l.rows_per_block = int64_t(l.down) * rows_per_thread;
  l.row_blocks = (shape.rows + l.rows_per_block - 1) / l.rows_per_block;
  l.channel_blocks = (groups + l.across - 1) / l.across;
  return l;
}

// The values of one place of the input, `sums` numbers for each of n channels, added up over the rows of the
// block: partial[(b * sums + s) * channels + c]. visit(row, channel, total) adds to total[s][i] for channel +
// i.
template <int sums, int n, class Visit>
__device__ __forceinline__ void sum_block(const Layout& l, int64_t rows, int64_t channels, float* partial,
                                          Visit visit) {
  __shared__ float shared[threads_per_block * sums * n];
  const int x = int(threadIdx.x) % l.across, y = int(threadIdx.x) / l.across;
  const int64_t channel = (int64_t(blockIdx.y) * l.across + x) * n;
  const int64_t first = blockIdx.x * l.rows_per_block, last = min(first + l.rows_per_block, rows);
  float total[sums][n] = {};
  if (channel < channels)
    for (int64_t row = first + y; row < last; row += l.down) visit(row, channel, total);
#pragma unroll
  for (int s = 0; s < sums; ++s)
#pragma unroll
    for (int i = 0; i < n; ++i) shared[(s * n + i) * threads_per_block + threadIdx.x] = total[s][i];
  // A tree over the rows of threads; down is a power of two.
  for (int half = l.down / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) {
#pragma unroll
      for (int j = 0; j < sums * n; ++j) {
        float* own = shared + j * threads_per_block + threadIdx.x;
        *own += own[half * l.across];
      }
    }
  }
  if (y == 0 && channel < channels) {
#pragma unroll
    for (int s = 0; s < sums; ++s)
#pragma unroll
      for (int i = 0; i < n; ++i)
        partial[(blockIdx.x * sums + s) * channels + channel + i] =
            shared[(s * n + i) * threads_per_block + threadIdx.x];
  }
}

// Sums of d and d^2 with d = x - x[0]: a value of the same channel as the shift keeps the digits that E[x^2]
// - E[x]^2 would lose (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983).
template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    moments(Layout l, const X* x, int64_t rows, int64_t channels, float* partial) {
  sum_block<2, n>(l, rows, channels, partial, [=](int64_t row, int64_t channel, float(&total)[2][n]) {
    float value[n], shift[n];
    load_pack(x + row * channels + channel, value);
    load_pack(x + channel, shift);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const float d = value[i] - shift[i];
      total[0][i] += d;
      total[1][i] += d * d;
    }
  });
}

// Adds partial[(b * sums + s) * channels + channel] over the blocks b, in every lane of a warp.
template <int sums>
__device__ __forceinline__ void add_blocks(const float* partial, int64_t blocks, int64_t channels,
                                           int64_t channel, double (&total)[sums]) {
#pragma unroll
  for (int s = 0; s < sums; ++s) total[s] = 0;
  for (int64_t b = threadIdx.x % 32; b < blocks; b += 32)
#pragma unroll
    for (int s = 0; s < sums; ++s) total[s] += double(partial[(b * sums + s) * channels + channel]);
#pragma unroll
  for (int s = 0; s < sums; ++s) total[s] = warp_sum(total[s]);
}

// A warp per channel.
template <class X>
__global__ void __launch_bounds__(threads_per_block)
    finish_moments(const X* x, const float* partial, int64_t blocks, int64_t rows, int64_t channels,
                   double eps, double momentum, float* running_mean, float* running_var, float* mean,
                   float* inverse_std) {
  const int64_t c = (int64_t(blockIdx.x) * threads_per_block + threadIdx.x) / 32;
  if (c >= channels) return;
  double total[2];
  add_blocks(partial, blocks, channels, c, total);
  if (threadIdx.x % 32 != 0) return;
  const double count = double(rows), d = total[0] / count;
  const double m = double(to_float(x[c])) + d;
  const double squares = fmax(total[1] - d * total[0], 0.0);  // sum of (x - mean)^2
  mean[c] = float(m);
  inverse_std[c] = float(1.0 / sqrt(squares / count + eps));
  running_mean[c] = float((1 - momentum) * double(running_mean[c]) + momentum * m);
  running_var[c] = float((1 - momentum) * double(running_var[c]) + momentum * squares / (count - 1));
}

template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    apply(const X* x, int64_t packs, int64_t channels, const float* gamma, const float* beta, const X* add,
          bool relu, const float* mean, const float* inverse_std, X* y) {
  const int64_t step = int64_t(gridDim.x) * threads_per_block;
  for (int64_t i = int64_t(blockIdx.x) * threads_per_block + threadIdx.x; i < packs; i += step) {
    const int64_t c = divide(i, channels / n).rest * n;
    float value[n], g[n], b[n], m[n], s[n], residual[n] = {};
    load_pack(x + i * n, value);
    load_pack(gamma + c, g);
    load_pack(beta + c, b);
    load_pack(mean + c, m);
    load_pack(inverse_std + c, s);
    if (add) load_pack(add + i * n, residual);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float result = g[j] * s[j] * (value[j] - m[j]) + b[j] + residual[j];
      value[j] = relu && result < 0.0f ? 0.0f : result;
    }
    store_pack(y + i * n, value);
  }
}

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

// Sums of g and of g xhat.
template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    gradient_sums(Layout l, const X* x, const X* y, const X* dy, const float* mean, const float* inverse_std,
                  int64_t rows, int64_t channels, float* partial) {
  sum_block<2, n>(l, rows, channels, partial, [=](int64_t row, int64_t channel, float(&total)[2][n]) {
    float value[n], g[n], m[n], s[n];
    load_pack(x + row * channels + channel, value);
    load_masked(dy, y, row * channels + channel, g);
    load_pack(mean + channel, m);
    load_pack(inverse_std + channel, s);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      total[0][i] += g[i];
      total[1][i] += g[i] * ((value[i] - m[i]) * s[i]);
    }
  });
}

// dbeta, dgamma, and the factors of dx = a g + b (x - mean) + c.
__global__ void __launch_bounds__(threads_per_block)
    finish_gradient(BatchNormGradient g, const float* partial, int64_t blocks, int64_t rows, int64_t channels,
                    float* factors) {
  const int64_t k = (int64_t(blockIdx.x) * threads_per_block + threadIdx.x) / 32;
  if (k >= channels) return;
  double total[2];
  add_blocks(partial, blocks, channels, k, total);
  if (threadIdx.x % 32 != 0) return;
  put(g.dbeta + k, float(total[0]), g.dbeta_accumulates);
  put(g.dgamma + k, float(total[1]), g.dgamma_accumulates);
  const double inverse = double(g.inverse_std[k]), scale = double(g.gamma[k]) * inverse;
  factors[k] = float(scale);
  factors[channels + k] = g.batch_statistics ? float(-scale * inverse * total[1] / double(rows)) : 0.0f;
  factors[2 * channels + k] = g.batch_statistics ? float(-scale * total[0] / double(rows)) : 0.0f;
}

template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    gradient(BatchNormGradient grad, int64_t packs, int64_t channels, const float* factors) {
  const X *x = static_cast<const X*>(grad.x), *y = static_cast<const X*>(grad.y),
          *dy = static_cast<const X*>(grad.dy);
  X *dx = static_cast<X*>(grad.dx), *dadd = static_cast<X*>(grad.dadd);
  const int64_t step = int64_t(gridDim.x) * threads_per_block;
  for (int64_t i = int64_t(blockIdx.x) * threads_per_block + threadIdx.x; i < packs; i += step) {
    const int64_t k = divide(i, channels / n).rest * n;
    float g[n];
    load_masked(dy, y, i * n, g);
    if (dx) {
      float value[n], m[n], a[n], b[n], c[n], old[n] = {};
      load_pack(x + i * n, value);
      load_pack(grad.mean + k, m);
      load_pack(factors + k, a);
      load_pack(factors + channels + k, b);
      load_pack(factors + 2 * channels + k, c);
      if (grad.dx_accumulates) load_pack(dx + i * n, old);
#pragma unroll
      for (int j = 0; j < n; ++j) value[j] = a[j] * g[j] + b[j] * (value[j] - m[j]) + c[j] + old[j];
      store_pack(dx + i * n, value);
    }
    if (dadd) {
      float old[n] = {};
      if (grad.dadd_accumulates) load_pack(dadd + i * n, old);
#pragma unroll
      for (int j = 0; j < n; ++j) old[j] += g[j];
      store_pack(dadd + i * n, old);
    }
  }
}

unsigned blocks_of_warps(int64_t warps) {
  return unsigned((warps * 32 + threads_per_block - 1) / threads_per_block);
}

unsigned blocks_of(int64_t n) {
  const int64_t blocks = (n + threads_per_block - 1) / threads_per_block;
  return unsigned(blocks < 8192 ? blocks : 8192);
}

// Calls f.operator()<X, n>() with as many channels per thread as the shape and the addresses allow: 16 bytes
// of f32.
template <class F, class... Pointers>
cudaError_t with_pack(const BatchNormShape& shape, F f, const Pointers*... pointers) {
  const bool packed = shape.channels % 4 == 0 && aligned_to(16, pointers...);
  return with_element(shape.type, [&]<class X>() {
    return packed ? f.template operator()<X, 4>() : f.template operator()<X, 1>();
  });
}

}  // namespace

size_t batch_norm_scratch(const BatchNormShape& shape) {
  // Without packs a block has fewer rows per channel, or as many: the larger count of both.
  const int64_t blocks = layout_of(shape, 1).row_blocks > layout_of(shape, 4).row_blocks
                             ? layout_of(shape, 1).row_blocks
                             : layout_of(shape, 4).row_blocks;
  return size_t((blocks * 2 + 3) * shape.channels) * sizeof(float);
}

cudaError_t batch_norm_statistics_kernel(cudaStream_t stream, const BatchNormShape& shape, const void* x,
                                         double eps, double momentum, float* running_mean, float* running_var,
                                         float* mean, float* inverse_std, void* scratch) {
  float* partial = static_cast<float*>(scratch);
  return with_pack(
      shape,
      [&]<class X, int n>() {
        const X* in = static_cast<const X*>(x);
        const Layout l = layout_of(shape, n);
        moments<X, n>
            <<<dim3(unsigned(l.row_blocks), unsigned(l.channel_blocks)), threads_per_block, 0, stream>>>(
                l, in, shape.rows, shape.channels, partial);
        finish_moments<<<blocks_of_warps(shape.channels), threads_per_block, 0, stream>>>(
            in, partial, l.row_blocks, shape.rows, shape.channels, eps, momentum, running_mean, running_var,
            mean, inverse_std);
        return cudaGetLastError();
      },
      x);
}

cudaError_t batch_norm_apply_kernel(cudaStream_t stream, const BatchNormShape& shape, const void* x,
                                    const float* gamma, const float* beta, const void* add, bool relu,
                                    const float* mean, const float* inverse_std, void* y) {
  return with_pack(
      shape,
      [&]<class X, int n>() {
        const int64_t packs = shape.rows * shape.channels / n;
        if (packs == 0) return cudaSuccess;
        apply<X, n><<<blocks_of(packs), threads_per_block, 0, stream>>>(
            static_cast<const X*>(x), packs, shape.channels, gamma, beta, static_cast<const X*>(add), relu,
            mean, inverse_std, static_cast<X*>(y));
        return cudaGetLastError();
      },
      x, gamma, beta, add, mean, inverse_std, y);
}

cudaError_t batch_norm_gradient_kernel(cudaStream_t stream, const BatchNormShape& shape,
                                       const BatchNormGradient& g, void* scratch) {
  float* partial = static_cast<float*>(scratch);
  return with_pack(
      shape,
      [&]<class X, int n>() {
        const Layout l = layout_of(shape, n);
        // First in scratch, so that packs of it are aligned.
        float* factors = partial;
        float* sums = partial + 3 * shape.channels;
        gradient_sums<X, n>
            <<<dim3(unsigned(l.row_blocks), unsigned(l.channel_blocks)), threads_per_block, 0, stream>>>(
                l, static_cast<const X*>(g.x), static_cast<const X*>(g.y), static_cast<const X*>(g.dy),
                g.mean, g.inverse_std, shape.rows, shape.channels, sums);
        finish_gradient<<<blocks_of_warps(shape.channels), threads_per_block, 0, stream>>>(
            g, sums, l.row_blocks, shape.rows, shape.channels, factors);
        if (g.dx || g.dadd) {
          const int64_t packs = shape.rows * shape.channels / n;
          gradient<X, n>
              <<<blocks_of(packs), threads_per_block, 0, stream>>>(g, packs, shape.channels, factors);
        }
        return cudaGetLastError();
      },
      g.x, g.y, g.dy, g.dx, g.dadd, g.mean, g.inverse_std);
}

cudaError_t inverse_std_kernel(cudaStream_t stream, const float* var, double eps, float* to, int64_t n) {
  return launch_each(stream, n,
                     [=] __device__(int64_t c) { to[c] = float(1.0 / sqrt(double(var[c]) + eps)); });
}

}  // namespace retort
