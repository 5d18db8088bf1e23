// Batch norm forward. Where all blocks can be resident together, it is one kernel with a barrier of the grid
// between the sums and their use; otherwise two kernels give the same bits.
#include <cooperative_groups.h>

#include "engine/cuda/batch_norm.cuh"

namespace retort {

namespace {

using namespace batch_norm;

// Sums of d and d^2 with d = x - x[0]: a value of the same channel as the shift keeps the digits that E[x^2]
// - E[x]^2 would lose (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983).
template <int n>
__device__ __forceinline__ void add_deviations(const float (&value)[n], const float (&shift)[n],
                                               float (&total)[sums][n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const float d = value[i] - shift[i];
    total[0][i] += d;
    total[1][i] += d * d;
  }
}

// What those sums come to in a channel.
template <class X>
struct Moments {
  const X* x;
  int64_t rows;
  double eps, momentum;
  float *running_mean, *running_var, *mean, *inverse_std;

  __device__ __forceinline__ void operator()(int64_t c, const double (&total)[sums]) const {
    const double count = double(rows), d = total[0] / count;
    const double m = double(to_float(x[c])) + d;
    const double squares = fmax(total[1] - d * total[0], 0.0);  // sum of (x - mean)^2
    mean[c] = float(m);
    inverse_std[c] = float(1.0 / sqrt(squares / count + eps));
    running_mean[c] = float((1 - momentum) * double(running_mean[c]) + momentum * m);
    running_var[c] = float((1 - momentum) * double(running_var[c]) + momentum * squares / (count - 1));
  }
};

template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    moments(Layout l, Moments<X> of, int64_t channels, float* partial, unsigned* tickets) {
  const int64_t channel = channel_of<n>(l);
  float shift[n] = {};
  if (channel < channels) load_pack(of.x + channel, shift);
  sum_rows<n, OnePack<n>>(
      l, of.rows, channels, channel, partial, tickets,
      [&](int64_t row, OnePack<n>& values) { load_pack(of.x + row * channels + channel, values.value); },
      [&](const OnePack<n>& values, float(&total)[sums][n]) { add_deviations(values.value, shift, total); },
      of);
}

// What a thread needs to know of its channels to apply what was found.
template <int n>
struct Affine {
  float scale[n], beta[n], mean[n];

  __device__ __forceinline__ void load(int64_t c, const float* gammas, const float* betas, const float* means,
                                       const float* inverse_stds) {
    float inverse_std[n];
    load_pack(gammas + c, scale);
    load_pack(inverse_stds + c, inverse_std);
    load_pack(betas + c, beta);
    load_pack(means + c, mean);
#pragma unroll
    for (int j = 0; j < n; ++j) scale[j] *= inverse_std[j];
  }
  __device__ __forceinline__ void apply(float (&value)[n], const float (&residual)[n], bool relu) const {
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float result = scale[j] * (value[j] - mean[j]) + beta[j] + residual[j];
      value[j] = relu && result < 0.0f ? 0.0f : result;
    }
  }
};

// The compiler is made to believe that the value is another one: across the barrier it would keep what it has
// made of it before, in more registers than there are.
__device__ __forceinline__ void forget(int64_t& value) {
#ifdef __CUDA_ARCH__
  asm volatile("" : "+l"(value));
#endif
}
template <class X, int n>
__device__ __forceinline__ void forget(Pack<X, n>& pack) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof pack >= sizeof(uint32_t))
#pragma unroll
    for (int i = 0; i < int(sizeof pack / sizeof(uint32_t)); ++i)
      asm volatile("" : "+r"(reinterpret_cast<uint32_t*>(&pack)[i]));
#endif
}

constexpr int blocks_resident = 2;  // on a multiprocessor, so that what is kept fits its registers

// moments and apply in one. The blocks wait for each other, so all must be resident together; what a thread
// has read for the sums is still in its registers when they are there. That the last block adds up for all,
// and not every block for itself, saves reading all partial sums in every block: more bytes than x has.
template <class X, int n, int turns>
__global__ void __launch_bounds__(threads_per_block, blocks_resident)
    train(Layout l, Moments<X> of, int64_t channels, float* partial, unsigned* tickets, const float* gamma,
          const float* beta, const X* add, bool relu, X* y) {
  constexpr int kept = turns * rows_at_once;
  const int64_t channel = channel_of<n>(l);
  const Rows own = rows_of(l, of.rows);
  int64_t at = own.first * channels + channel, step = l.down * channels;
  Pack<X, n> packs[kept];
  float total[sums][n] = {};
  if (channel < channels) {
    float shift[n];
    load_pack(of.x + channel, shift);
#pragma unroll
    for (int k = 0; k < kept; ++k)
      if (own.first + k * l.down < own.last)
        packs[k] = *reinterpret_cast<const Pack<X, n>*>(of.x + at + k * step);
#pragma unroll
    for (int k = 0; k < kept; ++k) {
      if (own.first + k * l.down >= own.last) continue;
      float value[n];
      unpack(packs[k], value);
      add_deviations(value, shift, total);
    }
  }
  add_up(l, channels, channel, total, partial, tickets, of);
  cooperative_groups::this_grid().sync();
  if (channel >= channels) return;
  Affine<n> affine;
  affine.load(channel, gamma, beta, of.mean, of.inverse_std);
  forget(at);
  forget(step);
#pragma unroll
  for (int k = 0; k < kept; ++k) {
    if (own.first + k * l.down >= own.last) continue;
    forget(packs[k]);
    float value[n], residual[n] = {};
    unpack(packs[k], value);
    if (add) load_pack(add + at + k * step, residual);
    affine.apply(value, residual, relu);
    store_pack(y + at + k * step, value);
  }
}

template <class X, int n>
__global__ void __launch_bounds__(threads_per_block)
    apply(const X* x, int64_t packs, int64_t channels, const float* gamma, const float* beta, const X* add,
          bool relu, const float* mean, const float* inverse_std, X* y, bool same_channels) {
  const int64_t step = int64_t(gridDim.x) * threads_per_block;
  const int64_t start = int64_t(blockIdx.x) * threads_per_block + threadIdx.x;
  Affine<n> affine;
  const auto parameters = [&](int64_t c) { affine.load(c, gamma, beta, mean, inverse_std); };
  for (int64_t i = start; i < packs; i += packs_at_once * step) {
    float value[packs_at_once][n], residual[packs_at_once][n] = {};
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      if (i + k * step >= packs) continue;
      load_pack(x + (i + k * step) * n, value[k]);
      if (add) load_pack(add + (i + k * step) * n, residual[k]);
    }
    if (i == start) {
      wait_for_previous();
      if (same_channels) parameters(divide(start, channels / n).rest * n);
    }
#pragma unroll
    for (int k = 0; k < packs_at_once; ++k) {
      if (i + k * step >= packs) continue;
      if (!same_channels) parameters(divide(i + k * step, channels / n).rest * n);
      affine.apply(value[k], residual[k], relu);
      store_pack(y + (i + k * step) * n, value[k]);
    }
  }
}

// Whether so many blocks of the kernel have room on the device at once.
template <class Kernel>
bool resident_together(Kernel kernel, int64_t blocks) {
  int device = 0, multiprocessors = 0, blocks_of_each = 0;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) == cudaSuccess &&
         cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks_of_each, kernel, threads_per_block, 0) ==
             cudaSuccess &&
         blocks <= int64_t(multiprocessors) * blocks_of_each;
}

template <class... Parameters, class... Arguments>
cudaError_t launch_cooperative(cudaStream_t stream, dim3 grid, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  cudaLaunchAttribute together = {};
  together.id = cudaLaunchAttributeCooperative;
  together.val.cooperative = 1;
  const cudaLaunchConfig_t launch{grid, dim3(threads_per_block), 0, stream, &together, 1};
  return cudaLaunchKernelEx(&launch, kernel, arguments...);
}

// programmatic: what comes before it in the stream is moments().
cudaError_t launch_apply(cudaStream_t stream, const BatchNormShape& shape, bool programmatic, const void* x,
                         const float* gamma, const float* beta, const void* add, bool relu, const float* mean,
                         const float* inverse_std, void* y) {
  return with_pack(
      shape,
      [&]<class X, int n>() {
        const int64_t packs = shape.rows * shape.channels / n;
        if (packs == 0) return cudaSuccess;
        const Packs launch = packs_of(packs, shape.channels / n);
        return launch_behind(stream, launch.blocks, programmatic, apply<X, n>, static_cast<const X*>(x), packs,
                             shape.channels, gamma, beta, static_cast<const X*>(add), relu, mean, inverse_std,
                             static_cast<X*>(y), launch.same_channels);
      },
      x, gamma, beta, add, mean, inverse_std, y);
}

}  // namespace

bool batch_norm_waits() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, apply<float, 1>) == cudaSuccess && attributes.ptxVersion >= 90;
}

size_t batch_norm_scratch(const BatchNormShape& shape) {
  int64_t blocks = 0;  // of the kind of pack that has most
  for (const int pack : {1, 4, 8})
    blocks = layout_of(shape, pack).row_blocks > blocks ? layout_of(shape, pack).row_blocks : blocks;
  return size_t((blocks * 2 + 3) * shape.channels) * sizeof(float);
}

cudaError_t batch_norm_train_kernel(cudaStream_t stream, const BatchNormShape& shape,
                                    const BatchNormForward& f, bool cooperative, bool programmatic,
                                    void* scratch, unsigned* tickets) {
  float* partial = static_cast<float*>(scratch);
  bool applied = false;
  const cudaError_t status = with_pack(
      shape,
      [&]<class X, int n>() {
        const Layout l = layout_of(shape, n);
        if (!fits(l)) return cudaErrorInvalidValue;
        const dim3 grid{unsigned(l.row_blocks), unsigned(l.channel_blocks)};
        const Moments<X> of{static_cast<const X*>(f.x),
                            shape.rows,
                            f.eps,
                            f.momentum,
                            f.running_mean,
                            f.running_var,
                            f.mean,
                            f.inverse_std};
        const auto both = l.turns == 1   ? train<X, n, 1>
                          : l.turns == 2 ? train<X, n, 2>
                                         : train<X, n, most_turns>;
        applied = cooperative &&
                  aligned_to(n * sizeof(float), f.gamma, f.beta, f.add, f.mean, f.inverse_std, f.y) &&
                  resident_together(both, l.row_blocks * l.channel_blocks);
        if (applied)
          return launch_cooperative(stream, grid, both, l, of, shape.channels, partial, tickets, f.gamma,
                                    f.beta, static_cast<const X*>(f.add), f.relu, static_cast<X*>(f.y));
        moments<X, n><<<grid, threads_per_block, 0, stream>>>(l, of, shape.channels, partial, tickets);
        return cudaGetLastError();
      },
      f.x);
  if (status != cudaSuccess || applied) return status;
  return launch_apply(stream, shape, programmatic, f.x, f.gamma, f.beta, f.add, f.relu, f.mean, f.inverse_std,
                      f.y);
}

cudaError_t batch_norm_apply_kernel(cudaStream_t stream, const BatchNormShape& shape, const void* x,
                                    const float* gamma, const float* beta, const void* add, bool relu,
                                    const float* mean, const float* inverse_std, void* y) {
  return launch_apply(stream, shape, false, x, gamma, beta, add, relu, mean, inverse_std, y);
}

cudaError_t inverse_std_kernel(cudaStream_t stream, const float* var, double eps, float* to, int64_t n) {
  return launch_each(stream, n,
                     [=] __device__(int64_t c) { to[c] = float(1.0 / sqrt(double(var[c]) + eps)); });
}

}  // namespace retort
