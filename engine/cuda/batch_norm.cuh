// What batch norm's kernels share over the rows of a rows x channels matrix (N,H,W,C images): how rows and
// channels are cut into blocks, and sums over rows. Blocks of rows leave partial sums in scratch; the block
// that ends last adds those up, in their order and in f64, and makes of them what comes next needs. Who ends
// last does not matter to a bit.
#pragma once
#include "engine/cuda/elements.cuh"
#include "engine/cuda/kernels.h"

namespace retort::batch_norm {

// A block is `across` threads over the channels, `pack` channels each, by `down` threads over the rows, each
// of which has several. Channels that do not fit are other blocks.
struct Layout {
  int pack, across, down, turns;  // of rows_at_once rows
  int64_t row_blocks, channel_blocks;
  int64_t rows_per_block;
};

constexpr int most_turns = 4;
constexpr int rows_at_once = 4;  // loaded before the first is used: what hides the way to memory
// Two for each multiprocessor of an H100 (132), not more: they are resident together with 128 registers each.
constexpr int64_t blocks_wanted = 256;

inline Layout layout_of(const BatchNormShape& shape, int pack) {
  Layout l{pack, 1, 0, 0, 0, 0, 0};
  const int64_t groups = (shape.channels + pack - 1) / pack;
  // 128 bytes side by side are a whole line of memory. With more, fewer blocks would be the last of their
  // channels, each with more partial sums to add up alone.
  const int most_across = pack > 1 ? 8 : 32;
  while (l.across < groups && l.across < most_across) l.across *= 2;
  l.down = threads_per_block / l.across;
  l.channel_blocks = (groups + l.across - 1) / l.across;
  for (l.turns = most_turns;; l.turns /= 2) {
    l.rows_per_block = int64_t(l.down) * rows_at_once * l.turns;
    l.row_blocks = (shape.rows + l.rows_per_block - 1) / l.rows_per_block;
    if (l.turns == 1 || l.row_blocks * l.channel_blocks >= blocks_wanted) break;
  }
  return l;
}

// Programmatic dependent launch (compute capability 9.0 on): a kernel so launched begins when all blocks of the
// one ahead of it in the stream have called let_next_begin() or ended. What it reads of that one's results, and
// all that it writes, comes behind wait_for_previous(). In a kernel that was launched as usual neither does
// anything.
__device__ __forceinline__ void let_next_begin() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}
__device__ __forceinline__ void wait_for_previous() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

template <class... Parameters, class... Arguments>
cudaError_t launch_behind(cudaStream_t stream, unsigned blocks, bool programmatic,
                          void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  const cudaLaunchConfig_t launch{
      dim3(blocks), dim3(threads_per_block), 0, stream, &early, programmatic ? 1u : 0u};
  return cudaLaunchKernelEx(&launch, kernel, arguments...);
}

constexpr int sums = 2;

// Of a thread's sums for its n channels those of its block: partial[(b * 2 + s) * channels + c]. Then, in the
// block that ends last of those with the same channels, finish(channel, totals) for each of them.
template <int n, class Finish>
__device__ __forceinline__ void add_up(const Layout& l, int64_t channels, int64_t channel,
                                       const float (&total)[sums][n], float* partial, unsigned* tickets,
                                       const Finish& finish) {
  __shared__ float shared[threads_per_block * sums * n];
  __shared__ double wide[sums][threads_per_block];
  __shared__ bool ends_last;
  const int thread = int(threadIdx.x), y = thread / l.across;
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

// The rows of a thread: from `first` on, l.down apart, before `last`.
struct Rows {
  int64_t first, last;
};
__device__ __forceinline__ Rows rows_of(const Layout& l, int64_t rows) {
  const int64_t begin = blockIdx.x * l.rows_per_block;
  return {begin + int(threadIdx.x) / l.across, min(begin + l.rows_per_block, rows)};
}

// Adds up over the rows of a block, and then all. load(row, values) reads what a row has at the thread's
// channels, add(values, total) adds it up.
template <int n, class Values, class Load, class Add, class Finish>
__device__ __forceinline__ void sum_rows(const Layout& l, int64_t rows, int64_t channels, int64_t channel,
                                         float* partial, unsigned* tickets, Load load, Add add,
                                         const Finish& finish) {
  float total[sums][n] = {};
  const Rows own = rows_of(l, rows);
  if (channel < channels) {
    for (int64_t row = own.first; row < own.last; row += rows_at_once * l.down) {
      Values values[rows_at_once];
#pragma unroll
      for (int k = 0; k < rows_at_once; ++k)
        if (row + k * l.down < own.last) load(row + k * l.down, values[k]);
#pragma unroll
      for (int k = 0; k < rows_at_once; ++k)
        if (row + k * l.down < own.last) add(values[k], total);
    }
  }
  let_next_begin();  // which reads the same rows
  add_up(l, channels, channel, total, partial, tickets, finish);
}

template <int n>
__device__ __forceinline__ int64_t channel_of(const Layout& l) {
  return (int64_t(blockIdx.y) * l.across + int(threadIdx.x) % l.across) * n;
}

template <int n>
struct OnePack {
  float value[n];
};

// Packs that a thread has at once, and whether all of its packs are of the same channels.
constexpr int packs_at_once = 2;

// Blocks for so many packs, and whether each thread then stays with its channels.
struct Packs {
  unsigned blocks;
  bool same_channels;
};

inline Packs packs_of(int64_t packs, int64_t packs_per_row) {
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

inline bool fits(const Layout& l) {
  return l.channel_blocks <= int64_t(ticket_bytes / sizeof(unsigned));
}

}  // namespace retort::batch_norm
