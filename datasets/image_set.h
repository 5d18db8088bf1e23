// Labelled images in memory, as bytes: what every reader of data sets produces.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace retort {

struct ImageSet {
  int height = 0, width = 0, channels = 3;
  int classes = 0;
  std::vector<uint8_t> images;           // N,H,W,C
  std::vector<int32_t> labels;           // N, each in [0, classes)
  std::vector<std::string> class_names;  // one per class; its number where the data set has no names
  // Per channel, in units of 1 = 255: what training normalises with, (byte / 255 - mean) / stddev.
  std::array<float, 3> mean{}, stddev{1, 1, 1};

  int64_t size() const { return int64_t(labels.size()); }
  int64_t image_bytes() const { return int64_t(height) * width * channels; }
  const uint8_t* image(int64_t i) const { return images.data() + i * image_bytes(); }

  // XXH3 of the extents, the images and the labels: two sets of equal hash are the same data.
  uint64_t hash() const;
};

struct DataSet {
  std::string name;  // "synthetic", "cifar100", "cifar10"
  ImageSet train, test;

  // Of both parts; a part that was not read counts as empty.
  uint64_t hash() const;
};

// Which parts to read or draw: evaluation needs the test images only.
enum class Parts { both, test };

}  // namespace retort
