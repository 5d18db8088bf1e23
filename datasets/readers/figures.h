// Figures among clutter on pictures, drawn by the program: what the embedded data sets are made of.
//
// Everything here is +, -, *, / and sqrt in f32 (all correctly rounded, and never fused: -ffp-contract=off),
// so the drawing is reproducible to the bit. No sin, cos, exp, pow: their last digits differ between C
// libraries.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/random_words.h"

namespace retort {

// A class is a shape with a fill: number shape * figure_fills + fill.
inline constexpr int figure_shapes = 8, figure_fills = 3, figure_classes = figure_shapes * figure_fills;
// "striped star"
std::string figure_class_name(int figure_class);

struct Point {
  float x, y;
};

struct Colour {
  float r, g, b;
};

// The random numbers of one image, in the order they are asked for.
class Draws {
 public:
  Draws(uint64_t seed, Purpose purpose, uint32_t sample) : words_(seed, purpose, 0, sample) {}

  uint32_t word() { return words_.next(); }
  float uniform(float low, float high) { return low + (high - low) * random_unit(word()); }
  int below(int n) { return int(random_below(word(), uint32_t(n))); }
  bool chance(float p) { return random_unit(word()) < p; }
  Colour colour(float low, float high) {
    const float r = uniform(low, high), g = uniform(low, high);
    return {r, g, uniform(low, high)};
  }

 private:
  RandomWords words_;
};

// Image plane to figure plane: turned, scaled to radius 1, slightly squeezed.
struct Frame {
  Point centre;
  float radius;
  float xx, xy, yx, yy;

  // Turned by up to 2 atan(turned) either way, without a cosine: the rational parametrisation of the circle.
  static Frame random(Draws& draws, Point centre, float radius, float squeezed, float turned);

  // Larger by this factor.
  void grow(float factor);

  Point to_figure(float x, float y) const {
    const float dx = x - centre.x, dy = y - centre.y;
    return {xx * dx + xy * dy, yx * dx + yy * dy};
  }
};

struct Figure {
  Frame frame, texture;
  int shape, other_shape;
  float shape_blend;  // 0: shape, 1: other_shape
  int fill, other_fill;
  float fill_blend;
  float period;  // of the fill, in pixels
  Colour first, second;
};

// A figure of random place in colour, turned and squeezed a little, that stands out from the background.
Figure random_figure(Draws& draws, int shape, int fill, Point centre, float radius, Colour background);

// Some figures are partly something else: their class is what outweighs.
void blend_some(Draws& draws, Figure& figure);

// What a figure covers: more than half of a pixel counts.
struct Extent {
  int left = 0, top = 0, right = 0, bottom = 0;  // right and bottom are the first pixels outside
  int64_t pixels = 0;

  bool empty() const { return pixels == 0; }
  int width() const { return right - left; }
  int height() const { return bottom - top; }
  void add(const Extent& other);
};

// Of a whole figure, also where it leaves a canvas.
Extent extent_of(const Figure& figure);

class Canvas {
 public:
  // side x side pixels of a smooth random background.
  Canvas(Draws& draws, int side);

  Colour& at(int x, int y) { return pixels_[size_t(y * side_ + x)]; }
  Extent paint(const Figure& figure);

  // Light that changes across the image, noise, and rounding to bytes: side x side x 3.
  void develop(Draws& draws, uint8_t* out) const;

 private:
  int side_;
  std::vector<Colour> pixels_;
};

}  // namespace retort
