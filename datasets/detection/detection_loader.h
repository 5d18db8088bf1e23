// Batches of pictures with their objects: resized, mirrored, normalised and padded in the background.
#pragma once
#include <optional>
#include <vector>

#include "datasets/detection/detection_set.h"
#include "datasets/loader.h"

namespace retort {

// One picture of a batch.
struct DetectionSample {
  int32_t image = 0;          // its number in the part
  int height = 0, width = 0;  // as resized; the rest of the batch's picture is padding
  int64_t original_height = 0, original_width = 0;
  std::vector<DetectionObject> objects;  // resized and mirrored with it; in training only
};

struct HostDetections {
  int64_t height = 0, width = 0;    // of all pictures, padding included
  std::vector<float> images;        // N,height,width,3: normalised, zeros right of and below each picture
  std::vector<float> other_images;  // the same as a second network sees them; empty without
  std::vector<DetectionSample> samples;  // N

  int64_t size() const { return int64_t(samples.size()); }
};

struct DetectionLoaderOptions {
  int64_t batch = 8;
  uint64_t seed = 1;
  bool training =
      true;  // shuffled, mirrored with p = .5, without images that have no objects; else all, as they are
  bool shuffle = true, flip = true;  // in training
  // A picture's shorter side becomes one of these, drawn anew each time, but its longer side at most
  // `longest`. None: pictures stay as they are, but for those that are longer: one of 16000 x 300 is seen as
  // 1333 x 25, so that no picture takes much more memory than others.
  std::vector<int> sides = {};
  int longest = 1333;
  int pad_multiple = 32;
  int workers = 2;
  int64_t limit = 0;  // the first N images that count; 0: all
  // In training: of the `parts` of a batch (see part_of) the pixels of a process's own are wanted; of the
  // other pictures all but those.
  int parts = 1;
  OwnParts own = {};
  // In tests: a process's are batches number `first`, first + `every`, ...
  int first = 0, every = 1;
  Normalize normalize{{0, 0, 0}, {1, 1, 1}};
  std::optional<Normalize> other = {};
};

// A training batch holds wide pictures or tall ones, so that little of it is padding; a test batch holds
// pictures of one size, so that nothing an image gives depends on what it is tested with. What a batch holds
// is a function of (part, options, epoch, batch number).
class DetectionLoader {
 public:
  // `part` must outlive the loader.
  DetectionLoader(const DetectionPart& part, const DetectionLoaderOptions& options);

  int64_t samples() const { return int64_t(samples_.size()); }  // of all processes
  int64_t batches() const { return batches_; }
  void begin_epoch(int epoch, int64_t first_batch = 0);
  // As Loader::next.
  const HostDetections* next();
  // Pictures of the batches before number `batch` of the epoch.
  int64_t samples_before(int64_t batch) const;

 private:
  struct Size {
    int height, width;
    bool operator==(const Size&) const = default;
  };
  Size size_of(int32_t image) const;
  bool flipped(int32_t image) const;
  void fill(int64_t batch, HostDetections& to) const;
  void put_together();  // the epoch's batches

  const DetectionPart& part_;
  DetectionLoaderOptions options_;
  std::vector<std::vector<DetectionObject>> objects_;
  std::vector<int32_t> samples_;
  int64_t batches_ = 0;
  int epoch_ = 0;
  std::vector<std::vector<int32_t>> order_;  // the images of each batch
  std::vector<HostDetections> slots_;
  Prefetch prefetch_;
};

}  // namespace retort
