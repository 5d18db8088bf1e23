// Pictures in files, as a source of images: read, decoded and, where there is room, kept decoded.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/image_set.h"

namespace retort {

// Room for decoded pictures. All of a process count, so that several data sets, of runs side by side, take no
// more than one.
class PictureRoom {
 public:
  // So many bytes, of all rooms together.
  explicit PictureRoom(int64_t bytes) : most_(bytes) {}
  bool take(int64_t bytes);
  void give_back(int64_t bytes) { taken_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  static std::atomic<int64_t> taken_;
  const int64_t most_;
};

struct FileNames {
  std::vector<std::string> names;
  std::string prefix = {};   // before each, in messages
  uint64_t hash = 0;         // see ImageSource
  int64_t largest_file = 0;  // bytes
};

class PictureFiles : public ImageSource {
 public:
  // The bytes of file i: in `scratch`, or where they lie anyway. Fault::input, naming the file, if they
  // cannot be read.
  using Bytes = std::function<std::span<const uint8_t>(int64_t i, std::vector<uint8_t>& scratch)>;

  // room may be null: nothing is kept.
  PictureFiles(FileNames files, Bytes bytes, std::shared_ptr<PictureRoom> room);
  ~PictureFiles() override;

  int64_t size() const override { return int64_t(files_.names.size()); }
  PixelView read(int64_t i, const PictureDecoder::Choose& window, PictureReader& reader) const override;
  PictureSize measure(int64_t i, PictureReader& reader) const override;
  std::string name_of(int64_t i) const override { return files_.names[size_t(i)]; }
  uint64_t hash() const override { return files_.hash; }
  int64_t largest_file() const override { return files_.largest_file; }

 private:
  struct Kept {
    int height, width;
    std::unique_ptr<uint8_t[]> pixels;
    PixelView view() const { return {pixels.get(), height, width, 3 * int64_t(width)}; }
    int64_t bytes() const { return 3 * int64_t(height) * width; }
  };

  FileNames files_;
  Bytes bytes_;
  std::shared_ptr<PictureRoom> room_;
  mutable std::vector<std::atomic<const Kept*>> kept_;
};

// The side of the images that are made of photos, and how; options.size is their own, if they have one.
int photo_size(const DataOptions& options);
PhotoOptions photo_options(const DataOptions& options);

// Calls f(i, reader) for i in [0, n) on several threads (0: the CPU quota), a reader each. What it throws is
// caught; the error of the lowest i is thrown at the end. False from `f` ends the work early.
void for_each_picture(int64_t n, int threads, Decoder decoder,
                      const std::function<bool(int64_t i, PictureReader& reader)>& f);

// Mean and deviation of each channel over the pixels of at most 10,000 pictures of the set, drawn by Philox,
// as they are stored; pictures that cannot be read are passed over.
struct ChannelStatistics {
  std::array<float, 3> mean{}, deviation{};
  int64_t pictures = 0;
};
ChannelStatistics measure_channels(const ImageSource& pictures, int threads, Decoder decoder);

}  // namespace retort
