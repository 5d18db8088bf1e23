// Labelled images: what every reader of data sets produces.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/bad_pictures.h"
#include "datasets/image_source.h"

namespace retort {

// Images of one size of at most 64 pixels are held in memory, as bytes. Photos stay where they are: `pictures` reads
// them, and `photo` says how they become images of height x width.
struct ImageSet {
  int height = 0, width = 0, channels = 3;
  int classes = 0;
  std::vector<uint8_t> images;           // N,H,W,C; empty for photos
  std::vector<int32_t> labels;           // N, each in [0, classes)
  std::vector<std::string> class_names;  // one per class; its number where the data set has no names
  // Per channel, in units of 1 = 255: what training normalises with, (byte / 255 - mean) / stddev.
  std::array<float, 3> mean{}, stddev{1, 1, 1};
  std::string numbers_from;  // where these two come from, for messages; empty: they are the data set's own

  uint64_t listing_hash = 0;                    // of the files that the images were read from, 0: of none
  std::shared_ptr<const ImageSource> pictures;  // N, null where the images are in memory
  PhotoOptions photo;
  Decoder decoder = Decoder::stb;
  bool skips_bad = false;  // a photo that cannot be read is replaced by the next good one while training
  BadPictures bad;         // that were replaced when they were read into memory

  bool in_memory() const { return !pictures; }
  int64_t size() const { return int64_t(labels.size()); }
  int64_t image_bytes() const { return int64_t(height) * width * channels; }
  const uint8_t* image(int64_t i) const { return images.data() + i * image_bytes(); }

  // Image i as a network is tested on it, height x width x channels: photos resized, their centre cut out.
  void read(int64_t i, PictureReader& reader, uint8_t* to) const;

  // XXH3 of the extents, the images and the labels: two sets of equal hash are the same data. The images'
  // part is that of their files' listing (paths, sizes, classes) where they have one, in memory or not.
  uint64_t hash() const;
  // The same of the bytes of all images in memory, whatever they were read from.
  uint64_t content_hash() const;
};

// ImageNet's, which networks for 224 x 224 pixels are trained with.
inline constexpr std::array imagenet_mean{.485f, .456f, .406f}, imagenet_deviation{.229f, .224f, .225f};

// An image has at most so many pixels a side if it is held in memory.
inline constexpr int largest_in_memory = 64;

struct DetectionData;  // of datasets/detection

struct DataSet {
  std::string name;  // "synthetic", "cifar100", "cifar10", "folder:NAME", ...
  ImageSet train, test;
  // Of a set for detectors: its pictures and boxes; train and test then say what the classes are and what
  // pictures are normalised with, and hold no images.
  std::shared_ptr<const DetectionData> boxes = {};
  uint64_t boxes_hash = 0;
  std::vector<std::string> notes = {};  // for the user: what was left out

  // Of both parts; a part that was not read counts as empty.
  uint64_t hash() const;
};

// Which parts to read or draw: evaluation needs the test images only.
enum class Parts { both, test };

// What decides a data set beside its name.
struct DataOptions {
  Parts parts = Parts::both;
  // The side of the images made of photos. 0: their own where they are square, of one size of at most 64 pixels; else
  // that of the network they are for; without one, 224.
  int size = 0, network_size = 0;
  int resize = 0;  // the shorter side before their centre is cut out; 0: 256 for 224, else the size
  bool random_crops = false;  // resized-crop is what training images go through
  Decoder decoder = Decoder::stb;
  PhotoOptions photo = {};        // scale and ratio
  bool skips_bad = false;         // see ImageSet
  std::string test_labels = {};   // the file that labels a flat folder of test images, where it lies elsewhere
  int64_t cache_bytes = 0;        // decoded photos kept in memory, of both parts together
  bool imagenet_numbers = false;  // mean and deviation are ImageNet's where the data has none of its own
  bool known_numbers = false;     // somebody else knows how images are normalised: they need not be measured
  int threads = 0;                // that look at files when the set is opened; 0: the CPU quota
  bool pictures_alone = false;  // of coco:DIR nothing is learned or scored: a file may lack its list of boxes

  bool operator==(const DataOptions&) const = default;
};

}  // namespace retort
