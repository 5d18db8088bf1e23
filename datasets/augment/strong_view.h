// The strong second view of a training image: crop, flip, two operations drawn with replacement from 14, and
// cutout. RandAugment: Cubuk, Zoph, Shlens, Le, arXiv:1909.13719, with the operations and magnitudes of
// mdistiller's MLKD. Operations work on bytes and give, byte for byte, what the Python Imaging Library gives.
#pragma once
#include <cstdint>
#include <vector>

#include "datasets/augment/augment.h"

namespace retort {

enum class StrongOp {
  auto_contrast,  // each channel's values spread over 0 to 255
  equalize,       // each channel's histogram made flat
  identity,
  brightness,  // blended with black, magnitude 1 is the image itself
  color,       // with its grey picture
  contrast,    // with its mean grey
  sharpness,   // with a 3x3 smoothed picture
  posterize,   // the upper floor(magnitude) bits stay
  solarize,    // values of at least magnitude are inverted
  rotate,      // by magnitude degrees, counter-clockwise
  shear_x,     // a row's shift by magnitude per row
  shear_y,
  translate_x,  // by magnitude times the side
  translate_y,
};
constexpr int strong_op_count = 14;

struct StrongView {
  View crop;
  struct Step {
    StrongOp op = StrongOp::identity;
    double magnitude = 0;
  } steps[2];
  struct Cutout {
    double side = 0;  // places; 0: none
    double x = 0, y = 0;
  } cutout;
};

// The strong view of one training image in one epoch; its crop and flip are not the weak view's.
StrongView strong_view_of(uint64_t seed, uint32_t epoch, uint32_t sample, int height, int width);

// A picture of bytes, H,W,3.
struct Picture {
  int height = 0, width = 0;
  std::vector<uint8_t> bytes;
};

void apply(StrongOp op, double magnitude, Picture& picture);
// Fills the square of the given side about (x, y) with the training images' mean color.
void apply(const StrongView::Cutout& cutout, Picture& picture);

// The view of an image (H,W,3 bytes), and its bytes normalised, to out (H,W,3 floats).
Picture strong_picture(const uint8_t* image, int height, int width, const StrongView& view);
void normalize_picture(const Picture& picture, const NormalizeTable& normalize, float* out);

}  // namespace retort
