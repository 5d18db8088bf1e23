// Batch norm over the rows of a rows x channels matrix (N,H,W,C images), in two kernels for each direction.
// The first sums over rows: blocks of rows into partial sums in scratch, and the block that ends last adds
// those up, in their order and in f64, and makes of them what the second kernel needs. Who ends last does not
// matter to a bit.
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort {

namespace {

// A block is `across` threads over the channels, `pack` channels each, by `down` threads over the rows, each
// of which has several. Channels that do not fit are other blocks.
struct Layout {
  int pack, across, down;
  int64_t row_blocks, channel_blocks;
  int64_t rows_per_block;
};

constexpr int rows_at_once = 4;             // loaded before the first is used: what hides the way to memory
constexpr int64_t blocks_wanted = 2 * 132;  // two for each multiprocessor of an H100

Layout layout_of(const BatchNormShape& shape, int pack) {
  Layout l{pack, 1, 0, 0, 0, 0};
  const int64_t groups = (shape.channels + pack - 1) / pack;
  while (l.across < groups && l.across < 32) l.across *= 2;
  l.down = threads_per_block / l.across;
  l.channel_blocks = (groups + l.across - 1) / l.across;
  for (int turns = 2; turns >= 1; --turns) {
    l.rows_per_block = int64_t(l.down) * rows_at_once * turns;
    l.row_blocks = (shape.rows + l.rows_per_block - 1) / l.rows_per_block;
    if (l.row_blocks * l.channel_blocks >= blocks_wanted) break;
  }
  return l;
}

// Two sums for each of n channels over the rows of a block: partial[(b * 2 + s) * channels + c]. Then, in the
// block that ends last of those with the same channels, finish(channel, totals) for each of them. load(row,
// values) reads what a row has at the thread's channels, add(values, total) adds it up.
template <int n, class Values, class Load, class Add, class Finish>
__device__ __forceinline__ void sum_rows(const Layout& l, int64_t rows, int64_t channels, int64_t channel,
                                         float* partial, unsigned* tickets, Load load, Add add,
                                         Finish finish) {
  constexpr int sums = 2;
  __shared__ float shared[threads_per_block * sums * n];
  __shared__ double wide[sums][threads_per_block];
  __shared__ bool ends_last;
  const int thread = int(threadIdx.x), y = thread / l.across;
  const int64_t first = blockIdx.x * l.rows_per_block, last = min(first + l.rows_per_block, rows);
  float total[sums][n] = {};
  if (channel < channels) {
    for (int64_t row = first + y; row < last; row += rows_at_once * l.down) {
      Values values[rows_at_once];
#pragma unroll
      for (int k = 0; k < rows_at_once; ++k)
        if (row + k * l.down < last) load(row + k * l.down, values[k]);
#pragma unroll
      for (int k = 0; k < rows_at_once; ++k)
        if (row + k * l.down < last) add(values[k], total);
    }
  }
#pragma unroll
  for (int s = 0; s < sums; ++s)
#pragma unroll
    for (int i = 0; i < n; ++i) shared[(s * n + i) * threads_per_block + thread] = total[s][i];
  // A tree over the rows of threads; down is a power of two.
  for (int half = l.down / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) {
#pragma unroll
      for (int j = 0; j < sums * n; ++j) {
        float* own = shared + j * threads_per_block + thread;
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
            shared[(s * n + i) * threads_per_block + thread];
  }
  // What was written is visible before the ticket is, and tickets are counted back to 0 by the last.
  __threadfence();
  __syncthreads();
  if (thread == 0) ends_last = atomicInc(tickets + blockIdx.y, gridDim.x - 1) == gridDim.x - 1;
  __syncthreads();
  if (!ends_last) return;
  __threadfence();
  // As many threads as there are channels side by side, those below them for every slices-th block; powers of
  // two.
  const int width = l.across * n, slices = threads_per_block / width, slice = thread / width;
  const int64_t own = int64_t(blockIdx.y) * width + thread % width;
  double whole[sums] = {};
  if (own < channels)
    for (int64_t b = slice; b < gridDim.x; b += slices)
#pragma unroll
      for (int s = 0; s < sums; ++s) whole[s] += double(__ldcg(partial + (b * sums + s) * channels + own));
#pragma unroll
  for (int s = 0; s < sums; ++s) wide[s][thread] = whole[s];
  for (int half = slices / 2; half > 0; half /= 2) {
    __syncthreads();
    if (slice < half)
#pragma unroll
      for (int s = 0; s < sums; ++s) wide[s][thread] += wide[s][thread + half * width];
  }
  if (slice > 0 || own >= channels) return;
#pragma unroll
  for (int s = 0; s < sums; ++s) whole[s] = wide[s][thread];
  finish(own, whole);
}

template <int n>
__device__ __forceinline__ int64_t channel_of(const Layout& l) {
  return (int64_t(blockIdx.y) * l.across + int(threadIdx.x) % l.across) * n;
}

template <int n>
struct OnePack {
  float value[n];
};

// Sums of d and d^2 with d = x - x[0]: a value of the same channel as the shift keeps the digits that E[x^2]
// - E[x]^2 would lose (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983).
template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    moments(Layout l, const X* x, int64_t rows, int64_t channels, float* partial, unsigned* tickets,
            double eps, double momentum, float* running_mean, float* running_var, float* mean,
            float* inverse_std) {
  const int64_t channel = channel_of<n>(l);
  float shift[n] = {};
  if (channel < channels) load_pack(x + channel, shift);
  sum_rows<n, OnePack<n>>(
      l, rows, channels, channel, partial, tickets,
      [&](int64_t row, OnePack<n>& values) { load_pack(x + row * channels + channel, values.value); },
      [&](const OnePack<n>& values, float(&total)[2][n]) {
#pragma unroll
        for (int i = 0; i < n; ++i) {
          const float d = values.value[i] - shift[i];
          total[0][i] += d;
          total[1][i] += d * d;
        }
      },
      [&](int64_t c, const double(&total)[2]) {
        const double count = double(rows), d = total[0] / count;
        const double m = double(to_float(x[c])) + d;
        const double squares = fmax(total[1] - d * total[0], 0.0);  // sum of (x - mean)^2
        mean[c] = float(m);
        inverse_std[c] = float(1.0 / sqrt(squares / count + eps));
        running_mean[c] = float((1 - momentum) * double(running_mean[c]) + momentum * m);
        running_var[c] = float((1 - momentum) * double(running_var[c]) + momentum * squares / (count - 1));
      });
}

// Packs that a thread has at once, and whether all of its packs are of the same channels.
constexpr int packs_at_once = 2;

template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    apply(const X* x, int64_t packs, int64_t channels, const float* gamma, const float* beta, const X* add,
          bool relu, const float* mean, const float* inverse_std, X* y, bool same_channels) {
  const int64_t step = int64_t(gridDim.x) * threads_per_block;
  const int64_t start = int64_t(blockIdx.x) * threads_per_block + threadIdx.x;
  float scale[n], b[n], m[n];
  const auto parameters = [&](int64_t c) {
    float s[n];
    load_pack(gamma + c, scale);
    load_pack(inverse_std + c, s);
    load_pack(beta + c, b);
    load_pack(mean + c, m);
#pragma unroll
    for (int j = 0; j < n; ++j) scale[j] *= s[j];
  };
  if (same_channels && start < packs) parameters(divide(start, channels / n).rest * n);
  for (int64_t i = start; i < packs; i += packs_at_once * step) {
    float value[packs_at_once][n], residual[packs_at_once][n] = {};
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      if (i + k * step >= packs) continue;
      load_pack(x + (i + k * step) * n, value[k]);
      if (add) load_pack(add + (i + k * step) * n, residual[k]);
    }
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      if (i + k * step >= packs) continue;
      if (!same_channels) parameters(divide(i + k * step, channels / n).rest * n);
#pragma unroll
      for (int j = 0; j < n; ++j) {
        const float result = scale[j] * (value[k][j] - m[j]) + b[j] + residual[k][j];
        value[k][j] = relu && result < 0.0f ? 0.0f : result;
      }
      store_pack(y + (i + k * step) * n, value[k]);
    }
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
  if (dx && same_channels && start < packs) parameters(divide(start, channels / n).rest * n);
  for (int64_t i = start; i < packs; i += packs_at_once * step) {
    float value[packs_at_once][n], g[packs_at_once][n];
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      if (i + k * step >= packs) continue;
      load_masked(dy, y, (i + k * step) * n, g[k]);
      if (dx) load_pack(x + (i + k * step) * n, value[k]);
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

// Blocks for so many packs, and whether each thread then stays with its channels.
struct Packs {
  unsigned blocks;
  bool same_channels;
};

Packs packs_of(int64_t packs, int64_t packs_per_row) {
  int64_t blocks = (packs + threads_per_block - 1) / threads_per_block;
  if (blocks > 4 * blocks_wanted) blocks = (blocks + packs_at_once - 1) / packs_at_once;
  if (blocks > 8192) blocks = 8192;
  return {unsigned(blocks), blocks * threads_per_block % packs_per_row == 0};
}

// Calls f.operator()<X, n>() with as many channels per thread as the shape and the addresses allow: 16 bytes.
template <class F, class... Pointers>
cudaError_t with_pack(const BatchNormShape& shape, F f, const Pointers*... pointers) {
  const bool fours = shape.channels % 4 == 0 && aligned_to(16, pointers...);
  const bool eights = shape.channels % 8 == 0 && aligned_to(32, pointers...);
  return with_element(shape.type, [&]<class X>() {
    if constexpr (sizeof(X) == 2)
      if (eights) return f.template operator()<X, 8>();
    return fours ? f.template operator()<X, 4>() : f.template operator()<X, 1>();
  });
}

bool fits(const Layout& l) {
  return l.channel_blocks <= int64_t(ticket_bytes / sizeof(unsigned));
}

}  // namespace

size_t batch_norm_scratch(const BatchNormShape& shape) {
  int64_t blocks = 0;  // of the kind of pack that has most
  for (const int pack : {1, 4, 8})
    blocks = layout_of(shape, pack).row_blocks > blocks ? layout_of(shape, pack).row_blocks : blocks;
  return size_t((blocks * 2 + 3) * shape.channels) * sizeof(float);
}

cudaError_t batch_norm_statistics_kernel(cudaStream_t stream, const BatchNormShape& shape, const void* x,
                                         double eps, double momentum, float* running_mean, float* running_var,
                                         float* mean, float* inverse_std, void* scratch, unsigned* tickets) {
  float* partial = static_cast<float*>(scratch);
  return with_pack(
      shape,
      [&]<class X, int n>() {
        const Layout l = layout_of(shape, n);
        if (!fits(l)) return cudaErrorInvalidValue;
        moments<X, n>
            <<<dim3(unsigned(l.row_blocks), unsigned(l.channel_blocks)), threads_per_block, 0, stream>>>(
                l, static_cast<const X*>(x), shape.rows, shape.channels, partial, tickets, eps, momentum,
                running_mean, running_var, mean, inverse_std);
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
        const Packs launch = packs_of(packs, shape.channels / n);
        apply<X, n><<<launch.blocks, threads_per_block, 0, stream>>>(
            static_cast<const X*>(x), packs, shape.channels, gamma, beta, static_cast<const X*>(add), relu,
            mean, inverse_std, static_cast<X*>(y), launch.same_channels);
        return cudaGetLastError();
      },
      x, gamma, beta, add, mean, inverse_std, y);
}

cudaError_t batch_norm_gradient_kernel(cudaStream_t stream, const BatchNormShape& shape,
                                       const BatchNormGradient& g, void* scratch, unsigned* tickets) {
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
        if (g.dx || g.dadd) {
          const int64_t packs = shape.rows * shape.channels / n;
          const Packs launch = packs_of(packs, shape.channels / n);
          gradient<X, n><<<launch.blocks, threads_per_block, 0, stream>>>(g, packs, shape.channels, factors,
                                                                          launch.same_channels);
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
