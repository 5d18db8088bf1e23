// How oneDNN computes a convolution: in shards of the batch, whose number depends on the problem only.
#pragma once
#include <cstddef>

#include "engine/cpu/conv/conv_problem.h"
#include "engine/cpu/onednn/kernel.h"

namespace retort {

// How a convolution is computed: by oneDNN in shards, or not by it.
struct OneDnnPlan {
  bool available = false;
  int64_t images = 0, shards = 1;
  OneDnnKernel kernels[2];      // for shards of images / shards images, and of one more
  OneDnnKernel reorder;         // of the weights, or of their gradient
  int64_t weights_count = 0;    // floats in oneDNN's layout, with its padding
  size_t weights_bytes = 0;     // and rounded up to a cache line, as all sizes of scratch here
  size_t scratchpad_bytes = 0;  // of one thread
  size_t reorder_scratchpad_bytes = 0;

  int64_t first(int64_t shard) const { return images * shard / shards; }
  int64_t count(int64_t shard) const { return first(shard + 1) - first(shard); }
  OneDnnKernel& kernel(int64_t shard) { return kernels[count(shard) - images / shards]; }
};

// A plan with available = false where oneDNN has no fast implementation. threads: how many will run it. The
// calling thread has to be held to one OpenMP thread. Throws dnnl::error.
OneDnnPlan make_onednn_plan(const ConvProblem& problem, const dnnl::engine& engine, int threads);

}  // namespace retort
