#include "datasets/readers/synthetic.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/random.h"

namespace retort {
namespace {

// Everything here is +, -, *, / and sqrt in f32 (all correctly rounded, and never fused: -ffp-contract=off),
// so the drawing is reproducible to the bit. No sin, cos, exp, pow: their last digits differ between C
// libraries.

constexpr int side = 32;
constexpr int shapes = 8, fills = 3, classes = shapes * fills;
constexpr const char* shape_names[shapes] = {"disc",     "ring",     "crescent", "square",
                                             "triangle", "pentagon", "star",     "cross"};
constexpr const char* fill_names[fills] = {"plain", "striped", "checked"};

// What makes the images hard; a change here asks for new statistics in draw_set() and a new hash in the
// tests.
constexpr float noise_low = 0.02f, noise_high = 0.08f;         // amplitude, of 1
constexpr float ground_brightest = 0.55f;                      // per channel; figures are 0.3 to 1
constexpr float ground_contrast = 1.0f, fill_contrast = 0.8f;  // sums over the channels
constexpr float radius_low = 8.5f, radius_high = 12;           // pixels
constexpr float off_centre = 3;                                // pixels either way
constexpr float turn = 0.2f, squeeze = 0.15f;                  // see Frame
constexpr float blend_chance = 0.25f, blend_most = 0.45f;      // of shapes, and of fills
constexpr int most_clutter = 3, most_covers = 1;               // small figures behind and before

struct Point {
  float x, y;
};

struct Colour {
  float r, g, b;
};

Colour mix(Colour a, Colour b, float t) {
  return {a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

float length(Point p) {
  return std::sqrt(p.x * p.x + p.y * p.y);
}

float clamp01(float v) {
  return std::min(std::max(v, 0.0f), 1.0f);
}

// The random numbers of one image, in the order they are asked for.
class Draws {
 public:
  Draws(uint64_t seed, Purpose purpose, uint32_t sample) : seed_(seed), purpose_(purpose), sample_(sample) {}

  uint32_t word() {
    if (used_ == 4) {
      words_ = random4(seed_, purpose_, 0, sample_, draw_++);
      used_ = 0;
    }
    return words_.v[used_++];
  }
  float uniform(float low, float high) { return low + (high - low) * random_unit(word()); }
  int below(int n) { return int(random_below(word(), uint32_t(n))); }
  bool chance(float p) { return random_unit(word()) < p; }
  Colour colour(float low, float high) {
    const float r = uniform(low, high), g = uniform(low, high);
    return {r, g, uniform(low, high)};
  }

 private:
  uint64_t seed_;
  Purpose purpose_;
  uint32_t sample_;
  uint32_t draw_ = 0;
  Random4 words_{};
  int used_ = 4;
};

// Image plane to figure plane: turned, scaled to radius 1, slightly squeezed.
struct Frame {
  Point centre;
  float radius;
  float xx, xy, yx, yy;

  // Turned by up to 2 atan(turned) either way, without a cosine: the rational parametrisation of the circle.
  static Frame random(Draws& draws, Point centre, float radius, float squeezed, float turned) {
    const float t = draws.uniform(-turned, turned);
    const float scale = 1.0f / (1.0f + t * t);
    const float cosine = (1.0f - t * t) * scale, sine = 2.0f * t * scale;
    const float stretch = draws.uniform(1.0f - squeezed, 1.0f + squeezed);
    const float u = 1.0f / (radius * stretch), v = stretch / radius;
    return {centre, radius, cosine * u, sine * u, -sine * v, cosine * v};
  }

  Point to_figure(float x, float y) const {
    const float dx = x - centre.x, dy = y - centre.y;
    return {xx * dx + xy * dy, yx * dx + yy * dy};
  }
};

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

struct Figure {
  Frame frame, texture;
  int shape, other_shape;
  float shape_blend;  // 0: shape, 1: other_shape
  int fill, other_fill;
  float fill_blend;
  float period;  // of the fill, in pixels
  Colour first, second;
};

class Canvas {
 public:
  explicit Canvas(Draws& draws) {
    // Bilinear between 5x5 colours that scatter around one.
    const Colour base = draws.colour(0, ground_brightest);
    const float scatter = draws.uniform(0.05f, 0.3f);
    Colour lattice[5][5];
    for (auto& row : lattice)
      for (Colour& node : row) node = mix(base, draws.colour(0, 1), scatter);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const int j = y / 8, i = x / 8;
        const float v = (float(y % 8) + 0.5f) / 8, u = (float(x % 8) + 0.5f) / 8;
        at(x, y) = mix(mix(lattice[j][i], lattice[j][i + 1], u),
                       mix(lattice[j + 1][i], lattice[j + 1][i + 1], u), v);
      }
  }

  Colour& at(int x, int y) { return pixels_[y * side + x]; }

  void paint(const Figure& f) {
    const float reach = 1.35f * f.frame.radius + 1;  // no shape extends farther, squeezed or not
    const int x0 = std::max(0, int(f.frame.centre.x - reach)),
              x1 = std::min(side, int(f.frame.centre.x + reach) + 1);
    const int y0 = std::max(0, int(f.frame.centre.y - reach)),
              y1 = std::min(side, int(f.frame.centre.y + reach) + 1);
    for (int y = y0; y < y1; ++y)
      for (int x = x0; x < x1; ++x) {
        const float px = float(x) + 0.5f, py = float(y) + 0.5f;
        const Point p = f.frame.to_figure(px, py);
        float d = distance(f.shape, p);
        if (f.shape_blend > 0) d += f.shape_blend * (distance(f.other_shape, p) - d);
        const float cover = clamp01(0.5f - d * f.frame.radius);
        if (cover == 0) continue;
        const Point q = f.texture.to_figure(px, py);
        float second = fill_at(f.fill, q, f.period);
        if (f.fill_blend > 0) second += f.fill_blend * (fill_at(f.other_fill, q, f.period) - second);
        at(x, y) = mix(at(x, y), mix(f.first, f.second, second), cover);
      }
  }

  // Light that changes across the image, noise, and rounding to bytes.
  void develop(Draws& draws, uint8_t* out) {
    const float light = draws.uniform(0.75f, 1.15f);
    const float slope_x = draws.uniform(-0.012f, 0.012f), slope_y = draws.uniform(-0.012f, 0.012f);
    const float noise = draws.uniform(noise_low, noise_high) / 128.0f;
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const float factor = light + slope_x * float(x - side / 2) + slope_y * float(y - side / 2);
        const uint32_t w[2] = {draws.word(), draws.word()};
        const Colour& pixel = at(x, y);
        const float value[3] = {pixel.r, pixel.g, pixel.b};
        for (int c = 0; c < 3; ++c) {
          // The sum of two bytes: a triangular distribution around 255.
          const int bytes = int((w[0] >> (8 * c)) & 255) + int((w[1] >> (8 * c)) & 255);
          const float v = clamp01(value[c] * factor + noise * float(bytes - 255));
          *out++ = uint8_t(int(v * 255.0f + 0.5f));
        }
      }
  }

 private:
  Colour pixels_[side * side];
};

// Two colours apart from one another by about `contrast`.
Colour contrasting(Draws& draws, Colour from, float contrast, float low) {
  for (int tries = 0;; ++tries) {
    const Colour c = draws.colour(low, 1);
    const float apart = std::abs(c.r - from.r) + std::abs(c.g - from.g) + std::abs(c.b - from.b);
    if (apart >= contrast || tries == 16) return c;
  }
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

void draw_image(uint64_t seed, Purpose purpose, uint32_t sample, int label, uint8_t* out) {
  Draws draws(seed, purpose, sample);
  Canvas canvas(draws);

  // Clutter: small figures of any class around the one that counts.
  const int clutter = draws.below(most_clutter + 1);
  for (int i = 0; i < clutter; ++i) {
    const float x = draws.uniform(0, side), y = draws.uniform(0, side);
    const float radius = draws.uniform(2.0f, 4.0f);
    const int shape = draws.below(shapes), fill = draws.below(fills);
    canvas.paint(random_figure(draws, shape, fill, {x, y}, radius, canvas.at(int(x), int(y))));
  }

  const float radius = draws.uniform(radius_low, radius_high);
  const auto near_centre = [&] { return draws.uniform(16 - off_centre, 16 + off_centre); };
  const float x = near_centre(), y = near_centre();
  Figure figure =
      random_figure(draws, label / fills, label % fills, {x, y}, radius, canvas.at(int(x), int(y)));
  // Some images are partly something else: the label is what outweighs.
  if (draws.chance(blend_chance)) {
    figure.other_shape = draws.below(shapes);
    figure.shape_blend = draws.uniform(0, blend_most);
  }
  if (draws.chance(blend_chance)) {
    figure.other_fill = draws.below(fills);
    figure.fill_blend = draws.uniform(0, blend_most);
  }
  canvas.paint(figure);

  // What lies over it.
  const int covers = draws.below(most_covers + 1);
  for (int i = 0; i < covers; ++i) {
    const float away_x = draws.uniform(-radius, radius), away_y = draws.uniform(-radius, radius);
    const float size = draws.uniform(1.5f, 4.0f);
    const int shape = draws.below(shapes), fill = draws.below(fills);
    canvas.paint(random_figure(draws, shape, fill, {x + away_x, y + away_y}, size, figure.first));
  }
  canvas.develop(draws, out);
}

ImageSet draw_set(uint64_t seed, Purpose purpose, int count) {
  ImageSet set;
  set.height = set.width = side;
  set.classes = classes;
  for (int c = 0; c < classes; ++c)
    set.class_names.push_back(text(fill_names[c % fills], ' ', shape_names[c / fills]));
  set.mean = {.3678f, .3661f, .3668f};
  set.stddev = {.2073f, .2078f, .2068f};
  set.images.resize(size_t(count) * side * side * 3);
  set.labels.resize(size_t(count));
  std::atomic<int> next{0};
  const auto work = [&] {
    constexpr int chunk = 32;
    for (int first; (first = next.fetch_add(chunk)) < count;)
      for (int i = first; i < std::min(count, first + chunk); ++i) {
        set.labels[size_t(i)] = i % classes;
        draw_image(seed, purpose, uint32_t(i), i % classes,
                   set.images.data() + int64_t(i) * set.image_bytes());
      }
  };
  std::vector<std::jthread> helpers;
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  helpers.clear();  // joins
  return set;
}

}  // namespace

SyntheticOptions SyntheticOptions::parse(const std::string& options) {
  SyntheticOptions result;
  for (size_t begin = 0; begin < options.size();) {
    const size_t end = std::min(options.find(',', begin), options.size());
    const std::string item = options.substr(begin, end - begin);
    const size_t equals = std::min(item.find('='), item.size());
    const std::string key = item.substr(0, equals), value = item.substr(std::min(equals + 1, item.size()));
    const auto number = [&](auto low, auto high, auto& to) {
      check(retort::parse(value, to) && to >= low && to <= high, Fault::usage,
            "data set 'synthetic:", options, "': ", key, "=", value, ": expected a number from ", low, " to ",
            high);
    };
    if (key == "train") {
      number(1, 1'000'000, result.train);
    } else if (key == "test") {
      number(1, 1'000'000, result.test);
    } else if (key == "seed") {
      number(uint64_t(0), ~uint64_t(0), result.seed);
    } else {
      fail(Fault::usage, "data set 'synthetic:", options, "': '", item,
           "' is not known; expected train=N, test=N or seed=N");
    }
    begin = end + 1;
  }
  return result;
}

DataSet draw_synthetic(const SyntheticOptions& options, Parts parts) {
  DataSet data;
  data.name = "synthetic";
  data.train = draw_set(options.seed, Purpose::synthetic_train, parts == Parts::both ? options.train : 0);
  data.test = draw_set(options.seed, Purpose::synthetic_test, options.test);
  return data;
}

}  // namespace retort
