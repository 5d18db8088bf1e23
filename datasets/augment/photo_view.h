// What a network sees of a photo of any size: a square of bytes, by crop, resizing and flip; functions of (seed, epoch,
// sample) and the photo's size. Geometry and pixels as torchvision's RandomResizedCrop, Resize, CenterCrop,
// RandomHorizontalFlip on Pillow images; only the random numbers are ours.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "datasets/formats/image_file.h"

namespace retort {

struct PhotoOptions {
  int size = 224;                             // the side of the square
  int resize = 256;                           // where nothing is random, the shorter side before its centre is cut out
  std::array<double, 2> scale{0.08, 1};       // of a random crop's area, beside the photo's
  std::array<double, 2> ratio{3. / 4, 4. / 3};  // of its width to its height

  bool operator==(const PhotoOptions&) const = default;
};

struct PhotoView {
  Box crop = {};              // of the photo; pixels outside have no say
  int height = 0, width = 0;  // what the crop is resized to
  Box cut = {};               // of that, size x size
  bool flip = false;          // mirrored, left to right, after the shift
  int down = 0, right = 0;    // the window moves so far over the cut; what lies outside of it is black
};

// Random crop of random area and ratio, then flip.
PhotoView resized_crop(uint64_t seed, uint32_t epoch, uint32_t sample, const PictureSize& photo,
                       const PhotoOptions& options);
// Shorter side to options.resize, then the centre.
PhotoView centre_crop(const PictureSize& photo, const PhotoOptions& options);
// The centre, padded by 4 pixels up to a size of 64 and by an eighth of the size above, a random window of it, flip.
PhotoView padded_crop(uint64_t seed, uint32_t epoch, uint32_t sample, const PictureSize& photo,
                      const PhotoOptions& options);

// Makes squares. Keeps its buffers: one for each thread.
class PhotoDrawer {
 public:
  // crop: the pixels of view.crop. to: cut.height x cut.width x 3.
  void draw(const PixelView& crop, const PhotoView& view, uint8_t* to);

 private:
  Resizer resizer_;
  std::vector<uint8_t> square_;
};

}  // namespace retort
