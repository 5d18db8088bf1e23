#include "datasets/readers/figures.h"

#include <algorithm>
#include <cmath>

namespace retort {
namespace {

constexpr const char* shape_names[figure_shapes] = {"disc",     "ring",     "crescent", "square",
                                                    "triangle", "pentagon", "star",     "cross"};
constexpr const char* fill_names[figure_fills] = {"plain", "striped", "checked"};

// What makes the images hard; a change here asks for new statistics of the sets and new hashes in the tests.
constexpr float noise_low = 0.02f, noise_high = 0.08f;         // amplitude, of 1
constexpr float ground_brightest = 0.55f;                      // per channel; figures are 0.3 to 1
constexpr float ground_contrast = 1.0f, fill_contrast = 0.8f;  // sums over the channels
constexpr float turn = 0.2f, squeeze = 0.15f;                  // see Frame
constexpr float blend_chance = 0.25f, blend_most = 0.45f;      // of shapes, and of fills

Colour mix(Colour a, Colour b, float t) {
  return {a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

float length(Point p) {
  return std::sqrt(p.x * p.x + p.y * p.y);
}

float clamp01(float v) {
  return std::min(std::max(v, 0.0f), 1.0f);
}

// The largest and second largest distance beyond the sides of a regular polygon through the origin: the first
// bounds the polygon, the second its star (inside all half planes but one).
struct Sides {
  float first = -4, second = -4;

  template <int n>
  static Sides of(const Point (&normals)[n], Point p) {
    Sides sides;
    for (const Point& normal : normals) {
      const float d = normal.x * p.x + normal.y * p.y;
      sides.second = std::max(sides.second, std::min(sides.first, d));
      sides.first = std::max(sides.first, d);
    }
    return sides;
  }
};

constexpr Point three[] = {{0, -1}, {0.8660254f, 0.5f}, {-0.8660254f, 0.5f}};
constexpr Point five[] = {{0, -1},
                          {0.9510565f, -0.3090170f},
                          {0.5877853f, 0.8090170f},
                          {-0.5877853f, 0.8090170f},
                          {-0.9510565f, -0.3090170f}};

// Signed distance, near the outline, from a figure of about radius 1; negative inside.
float distance(int shape, Point p) {
  const float ax = std::abs(p.x), ay = std::abs(p.y);
  switch (shape) {
    case 0:
      return length(p) - 0.86f;
    case 1:
      return std::abs(length(p) - 0.68f) - 0.24f;
    case 2:
      return std::max(length(p) - 0.92f, 0.62f - length({p.x - 0.46f, p.y}));
    case 3:
      return std::max(ax, ay) - 0.76f;
    case 4:
      return Sides::of(three, p).first - 0.54f;
    case 5:
      return Sides::of(five, p).first - 0.76f;
    case 6: {
      const Sides sides = Sides::of(five, p);  // the pentagram, fattened
      return 0.86f * sides.second + 0.14f * sides.first - 0.43f;
    }
    default:
      return std::min(std::max(ax - 0.95f, ay - 0.32f), std::max(ax - 0.32f, ay - 0.95f));
  }
}

// A wave of period 1 between 0 and 1, high around whole numbers; its edges take `soft` of a period.
float square_wave(float t, float soft) {
  const float triangle = 4.0f * std::abs(t - std::floor(t) - 0.5f) - 1.0f;
  return clamp01(0.5f + triangle / (4.0f * soft));
}

// How much of the second colour a pixel of a filled figure has; q in pixels.
float fill_at(int fill, Point q, float period) {
  if (fill == 0) return 0;
  const float soft = 1.0f / period;
  const float u = square_wave(q.x / period, soft);
  if (fill == 1) return u;
  const float v = square_wave(q.y / period, soft);
  return u + v - 2.0f * u * v;
}

// Two colours apart from one another by about `contrast`.
Colour contrasting(Draws& draws, Colour from, float contrast, float low) {
  for (int tries = 0;; ++tries) {
    const Colour c = draws.colour(low, 1);
    const float apart = std::abs(c.r - from.r) + std::abs(c.g - from.g) + std::abs(c.b - from.b);
    if (apart >= contrast || tries == 16) return c;
  }
}

}  // namespace

std::string figure_class_name(int figure_class) {
  return std::string(fill_names[figure_class % figure_fills]) + ' ' +
         shape_names[figure_class / figure_fills];
}

Frame Frame::random(Draws& draws, Point centre, float radius, float squeezed, float turned) {
  const float t = draws.uniform(-turned, turned);
  const float scale = 1.0f / (1.0f + t * t);
  const float cosine = (1.0f - t * t) * scale, sine = 2.0f * t * scale;
  const float stretch = draws.uniform(1.0f - squeezed, 1.0f + squeezed);
  const float u = 1.0f / (radius * stretch), v = stretch / radius;
  return {centre, radius, cosine * u, sine * u, -sine * v, cosine * v};
}

void Frame::grow(float factor) {
  radius *= factor;
  for (float* const number : {&xx, &xy, &yx, &yy}) *number /= factor;
}

Figure random_figure(Draws& draws, int shape, int fill, Point centre, float radius, Colour background) {
  Figure f{};
  f.frame = Frame::random(draws, centre, radius, squeeze, turn);
  f.texture = Frame::random(draws, centre, 1, 0, 1);
  f.shape = f.other_shape = shape;
  f.fill = f.other_fill = fill;
  f.period = draws.uniform(4.2f, 6.5f);
  f.first = contrasting(draws, background, ground_contrast, 0.3f);
  f.second = contrasting(draws, f.first, fill_contrast, 0);
  return f;
}

void blend_some(Draws& draws, Figure& figure) {
  if (draws.chance(blend_chance)) {
    figure.other_shape = draws.below(figure_shapes);
    figure.shape_blend = draws.uniform(0, blend_most);
  }
  if (draws.chance(blend_chance)) {
    figure.other_fill = draws.below(figure_fills);
    figure.fill_blend = draws.uniform(0, blend_most);
  }
}

void Extent::add(const Extent& other) {
  if (other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  left = std::min(left, other.left);
  top = std::min(top, other.top);
  right = std::max(right, other.right);
  bottom = std::max(bottom, other.bottom);
  pixels += other.pixels;
}

// Bilinear between 5x5 colours that scatter around one.
Canvas::Canvas(Draws& draws, int side) : side_(side), pixels_(size_t(side) * size_t(side)) {
  const Colour base = draws.colour(0, ground_brightest);
  const float scatter = draws.uniform(0.05f, 0.3f);
  Colour lattice[5][5];
  for (auto& row : lattice)
    for (Colour& node : row) node = mix(base, draws.colour(0, 1), scatter);
  const int cell = side / 4;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const int j = y / cell, i = x / cell;
      const float v = (float(y % cell) + 0.5f) / float(cell), u = (float(x % cell) + 0.5f) / float(cell);
      at(x, y) =
          mix(mix(lattice[j][i], lattice[j][i + 1], u), mix(lattice[j + 1][i], lattice[j + 1][i + 1], u), v);
    }
}

namespace {

// Calls f(x, y, cover) for the pixels that a figure covers a part of.
template <class F>
void for_covered(const Figure& figure, const F& f) {
  const Frame& frame = figure.frame;
  const float reach = 1.35f * frame.radius + 1;  // no shape extends farther, squeezed or not
  const auto first = [&](float centre) { return int(std::floor(centre - reach)); };
  const auto last = [&](float centre) { return int(std::floor(centre + reach)); };
  for (int y = first(frame.centre.y); y <= last(frame.centre.y); ++y)
    for (int x = first(frame.centre.x); x <= last(frame.centre.x); ++x) {
      const Point p = frame.to_figure(float(x) + 0.5f, float(y) + 0.5f);
      float d = distance(figure.shape, p);
      if (figure.shape_blend > 0) d += figure.shape_blend * (distance(figure.other_shape, p) - d);
      const float cover = clamp01(0.5f - d * frame.radius);
      if (cover > 0) f(x, y, cover);
    }
}

void note(int x, int y, float cover, Extent& extent) {
  if (cover > 0.5f) extent.add({x, y, x + 1, y + 1, 1});
}

}  // namespace

Extent extent_of(const Figure& figure) {
  Extent extent;
  for_covered(figure, [&](int x, int y, float cover) { note(x, y, cover, extent); });
  return extent;
}

Extent Canvas::paint(const Figure& f) {
  Extent extent;
  for_covered(f, [&](int x, int y, float cover) {
    if (x < 0 || y < 0 || x >= side_ || y >= side_) return;
    note(x, y, cover, extent);
    const Point q = f.texture.to_figure(float(x) + 0.5f, float(y) + 0.5f);
    float second = fill_at(f.fill, q, f.period);
    if (f.fill_blend > 0) second += f.fill_blend * (fill_at(f.other_fill, q, f.period) - second);
    at(x, y) = mix(at(x, y), mix(f.first, f.second, second), cover);
  });
  return extent;
}

void Canvas::develop(Draws& draws, uint8_t* out) const {
  const float light = draws.uniform(0.75f, 1.15f);
  const float most = 0.012f * (32.0f / float(side_));  // the same from edge to edge, whatever the side
  const float slope_x = draws.uniform(-most, most), slope_y = draws.uniform(-most, most);
  const float noise = draws.uniform(noise_low, noise_high) / 128.0f;
  for (int y = 0; y < side_; ++y)
    for (int x = 0; x < side_; ++x) {
      const float factor = light + slope_x * float(x - side_ / 2) + slope_y * float(y - side_ / 2);
      const uint32_t w[2] = {draws.word(), draws.word()};
      const Colour& pixel = pixels_[size_t(y * side_ + x)];
      const float value[3] = {pixel.r, pixel.g, pixel.b};
      for (int c = 0; c < 3; ++c) {
        // The sum of two bytes: a triangular distribution around 255.
        const int bytes = int((w[0] >> (8 * c)) & 255) + int((w[1] >> (8 * c)) & 255);
        const float v = clamp01(value[c] * factor + noise * float(bytes - 255));
        *out++ = uint8_t(int(v * 255.0f + 0.5f));
      }
    }
}

}  // namespace retort
