// Batches of a data set: shuffled, augmented and normalised in the background.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "datasets/augment/augment.h"
#include "datasets/image_set.h"
#include "datasets/prefetch.h"
#include "engine/base/check.h"
#include "engine/distributed/tree.h"

namespace retort {

// One batch in host memory, owned by the loader.
struct HostBatch {
  int64_t size = 0;                  // images; the last batch of an epoch may be smaller than the others
  const float* images = nullptr;     // size,H,W,C, normalised; null without LoaderOptions::pixels
  const int32_t* labels = nullptr;   // size
  const int32_t* indices = nullptr;  // size: which image of the ImageSet each one is
  const int32_t* views = nullptr;    // size: which view of it, see index_of(View)
  const float* strong = nullptr;     // size,H,W,C: the second views, null without
  // The same pictures by LoaderOptions::other; null without.
  const float* other_images = nullptr;
  const float* other_strong = nullptr;
  const uint8_t* bytes = nullptr;  // of photos: size,H,W,C, the images before they are normalised
};

struct LoaderOptions {
  int64_t batch = 64;
  uint64_t seed = 1;  // of the order and of the augmentation
  bool shuffle = true;
  Augment augment = Augment::crop_flip;
  int views = view_count;  // of an image, if it is augmented; fewer: fixed ones, see fixed_view()
  int workers = 2;         // background threads; 0: the caller's thread does the work
  // Of the `parts` of a batch (see part_of) the images of a process's own are wanted: of the others only labels,
  // indices and views are right.
  int parts = 1;
  OwnParts own = {};
  bool pixels = true;      // false: only labels, indices and views, for a device that has the images
  bool strong = false;     // also a second, strongly augmented view of each image, see strong_view.h
  // What images are normalised with, if not with the set's own numbers.
  std::optional<Normalize> normalize = {};
  // The pictures once more, for a second network that was trained with other numbers.
  std::optional<Normalize> other = {};

  // For evaluation: every image once, in the order of the samples, as it is.
  static LoaderOptions evaluation(int64_t batch, int workers = 2) {
    return {.batch = batch,
            .seed = 0,
            .shuffle = false,
            .augment = Augment::none,
            .views = 1,
            .workers = workers};
  }
};

// The set's own numbers.
Normalize normalize_of(const ImageSet& set);

// "none", "crop-flip" or "resized-crop", and "auto", which is crop-flip for images in memory; anything else is a
// Fault::usage.
Augment augment_named(const std::string& name);

// Which images of a set are trained on and which are held out; disjoint, both ascending.
struct Split {
  std::vector<int32_t> train, validation;
};

// Of the first `limit` of `size` images (0: all), `validation` ones drawn by Philox are held out.
// Fault::usage where fewer than one image would be left to train on, or limit is larger than size.
Split split_samples(int64_t size, int64_t limit, int64_t validation, uint64_t seed);

// The order of n samples in one epoch: a permutation of 0 to n - 1 keyed by (seed, epoch).
std::vector<int32_t> shuffled(int64_t n, uint64_t seed, uint32_t epoch);

// What a batch holds is a function of (samples, options, epoch, batch number), whatever the number of workers
// and wherever in the epoch one begins.
class Loader {
 public:
  // All images, or the given ones. `set` must outlive the loader.
  Loader(const ImageSet& set, const LoaderOptions& options);
  Loader(const ImageSet& set, std::vector<int32_t> samples, const LoaderOptions& options);

  int64_t samples() const { return int64_t(samples_.size()); }
  int64_t batches() const { return (samples() + options_.batch - 1) / options_.batch; }  // per epoch

  // Begins an epoch at batch number first_batch (0 to batches()); one that is under way is dropped.
  void begin_epoch(int epoch, int64_t first_batch = 0);

  // The next batch, nullptr at the end of the epoch and before the first one. It stays as it is until next()
  // or begin_epoch() is called. What a worker threw is thrown here.
  const HostBatch* next();

  // Of the batches that are made ahead, and what decoding keeps for the next one. While batches are made,
  // decoding_bytes() a worker come to these.
  int64_t bytes() const;
  // Met so far (ImageSet::skips_bad).
  BadPictures bad_pictures() const;

 private:
  struct Slot {
    std::vector<uint8_t> bytes;  // of photos
    std::vector<float> images, strong, other_images, other_strong;
    std::vector<int32_t> labels, indices, views;
    HostBatch batch;
  };

  void fill(int64_t batch, Slot& slot) const;
  void fill_photos(Slot& slot, int64_t first, int64_t size) const;
  PhotoView photo_view(int32_t sample, const PictureSize& size) const;
  void note_bad(int32_t sample, const Error& error) const;
  View view(int32_t sample) const;

  const ImageSet& set_;
  std::vector<int32_t> samples_;
  LoaderOptions options_;
  NormalizeTable normalize_;
  std::optional<NormalizeTable> other_;
  std::vector<int32_t> order_;  // positions in samples_, of this epoch
  int epoch_ = 0;
  std::vector<Slot> slots_;
  mutable std::mutex bad_mutex_;
  mutable std::set<int32_t> bad_;  // photos
  mutable std::string first_bad_;
  Prefetch prefetch_;  // last: its threads end before what they read
};

}  // namespace retort
