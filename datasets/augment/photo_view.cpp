#include "datasets/augment/photo_view.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"
#include "engine/random.h"

namespace retort {
namespace {

constexpr uint32_t crop_attempts = 10;  // one draw each; the next one decides the flip

bool top_bit(uint32_t word) {
  return (word >> 31) != 0;
}

// To the nearest integer, halves to the even one, as Python rounds.
int rounded(double x) {
  return int(std::nearbyint(x));
}

// Where no random crop fitted: the whole photo, cut about its centre where it is narrower or wider than all
// ratios.
Box widest_crop(const PictureSize& photo, const std::array<double, 2>& ratio) {
  const double own = double(photo.width) / photo.height;
  int height = photo.height, width = photo.width;
  if (own < ratio[0]) height = std::max(1, rounded(width / ratio[0]));
  if (own > ratio[1]) width = std::max(1, rounded(height * ratio[1]));
  return {(photo.height - height) / 2, (photo.width - width) / 2, height, width};
}

}  // namespace

PhotoView resized_crop(uint64_t seed, uint32_t epoch, uint32_t sample, const PictureSize& photo,
                       const PhotoOptions& options) {
  PhotoView view{.height = options.size, .width = options.size, .cut = {0, 0, options.size, options.size}};
  const double pixels = double(photo.height) * photo.width;
  const double least = std::log(options.ratio[0]), most = std::log(options.ratio[1]);
  for (uint32_t attempt = 0; attempt < crop_attempts && view.crop.width == 0; ++attempt) {
    const Random4 draw = random4(seed, Purpose::resized_crop, epoch, sample, attempt);
    const double area =
        pixels * (options.scale[0] + (options.scale[1] - options.scale[0]) * double(random_unit(draw.v[0])));
    const double ratio = std::exp(least + double(random_unit(draw.v[1])) * (most - least));
    const int width = rounded(std::sqrt(area * ratio)), height = rounded(std::sqrt(area / ratio));
    if (width < 1 || width > photo.width || height < 1 || height > photo.height) continue;
    view.crop = {int(random_below(draw.v[2], uint32_t(photo.height - height + 1))),
                 int(random_below(draw.v[3], uint32_t(photo.width - width + 1))), height, width};
  }
  if (view.crop.width == 0) view.crop = widest_crop(photo, options.ratio);
  view.flip = top_bit(random4(seed, Purpose::resized_crop, epoch, sample, crop_attempts).v[0]);
  return view;
}

PhotoView centre_crop(const PictureSize& photo, const PhotoOptions& options) {
  const CentreView centre = centre_view(photo, std::max(options.size, options.resize), options.size);
  return {.crop = {0, 0, photo.height, photo.width},
          .height = centre.height,
          .width = centre.width,
          .cut = centre.cut};
}

PhotoView padded_crop(uint64_t seed, uint32_t epoch, uint32_t sample, const PictureSize& photo,
                      const PhotoOptions& options) {
  PhotoView view = centre_crop(photo, options);
  const int padding = options.size <= 64 ? 4 : options.size / 8;
  const Random4 draw = random4(seed, Purpose::augment, epoch, sample, 0);
  view.down = int(random_below(draw.v[0], uint32_t(2 * padding + 1))) - padding;
  view.right = int(random_below(draw.v[1], uint32_t(2 * padding + 1))) - padding;
  view.flip = top_bit(draw.v[2]);
  return view;
}

void PhotoDrawer::draw(const PixelView& crop, const PhotoView& view, uint8_t* to) {
  check(crop.height == view.crop.height && crop.width == view.crop.width, "photo: ", crop.height, " x ",
        crop.width, " pixels, expected ", view.crop.height, " x ", view.crop.width);
  const bool moved = view.down != 0 || view.right != 0;
  if (!moved && !view.flip) {
    resizer_.resize(crop, view.height, view.width, view.cut, to);
    return;
  }
  const int height = view.cut.height, width = view.cut.width;
  square_.resize(size_t(height) * size_t(width) * 3);
  resizer_.resize(crop, view.height, view.width, view.cut, square_.data());
  // As augment_pixel() looks at a padded image.
  for (int y = 0; y < height; ++y) {
    uint8_t* line = to + int64_t(y) * width * 3;
    const int from_y = y + view.down;
    if (from_y < 0 || from_y >= height) {
      std::memset(line, 0, size_t(width) * 3);
      continue;
    }
    const uint8_t* row = square_.data() + int64_t(from_y) * width * 3;
    for (int x = 0; x < width; ++x) {
      const int from_x = (view.flip ? width - 1 - x : x) + view.right;
      if (from_x >= 0 && from_x < width)
        std::memcpy(line + 3 * x, row + 3 * from_x, 3);
      else
        std::memset(line + 3 * x, 0, 3);
    }
  }
}

}  // namespace retort
