// A model's logits without a tape, computed in slices of the batch whose activations stay in the second-level
// cache. Nothing crosses images there (the statistics of a batch do, so training is not sliced), and slices
// are only taken where they give the same bits.
#pragma once
#include <cstdint>
#include <map>

#include "models/model.h"

namespace retort {

// As many images as fit where the largest activation of one has so many bytes; 0 where too few do: every
// slice transforms the weights again, and below 16 images that cost more than the cache gained
// (bench/RESULTS.md).
int64_t images_per_slice(int64_t activation_bytes, int64_t cache_bytes);
// The same for a model on this processor. 0 on a device that is no CPU, and where more than one thread
// computes (threads, 0: cpu_quota()): no gain was measured there.
int64_t images_per_slice(Model& model, Device& device, int threads);

class SlicedForward {
 public:
  // slice: images, see above; 0: the whole batch at once. model and device must outlive it.
  SlicedForward(Model& model, Device& device, int64_t slice)
      : model_(model), device_(device), slice_(slice) {}

  // model(images, Pass{device}). The first batch of a size is computed both ways: convolutions choose their
  // algorithm by the size of the problem, and where that changes a bit, batches of this size are not sliced.
  Var operator()(const Var& images);

 private:
  Var whole(const Var& images) { return model_(images, Pass{device_}); }
  Var sliced(const Var& images);

  Model& model_;
  Device& device_;
  int64_t slice_;
  std::map<int64_t, bool> same_bits_;  // by the size of the batch
};

}  // namespace retort
