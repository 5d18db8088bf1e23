#include "datasets/detection/scenes.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>

#include "datasets/readers/figures.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr int side = 128;
constexpr int most_figures = 6, most_clutter = 8, most_tries = 24;
constexpr int side_low = 14, side_high = 80;  // of a figure's box, the longer one
constexpr float most_overlap = 0.3f;          // IoU of two boxes
constexpr float crowd_chance = 0.03f;
constexpr int crowd_least = 8, crowd_most = 14;

struct Drawn {
  Extent extent;
  int figure_class = 0;
  bool crowd = false;
};

// low (high / low)^u for u in [0, 1), from square roots alone: no pow, whose last digits differ between
// libraries.
float spread_evenly(uint32_t word, float low, float high) {
  float factor = 1, root = high / low;
  for (int bit = 31; bit >= 16; --bit) {
    root = std::sqrt(root);
    if ((word >> bit) & 1) factor *= root;
  }
  return low * factor;
}

float overlap(const Extent& a, const Extent& b) {
  const int width = std::min(a.right, b.right) - std::max(a.left, b.left),
            height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const auto area = [](const Extent& e) { return float(e.width()) * float(e.height()); };
  const float shared = float(width) * float(height);
  return shared / (area(a) + area(b) - shared);
}

bool apart(const Extent& extent, const std::vector<Drawn>& others) {
  return std::all_of(others.begin(), others.end(),
                     [&](const Drawn& other) { return overlap(extent, other.extent) <= most_overlap; });
}

void draw_clutter(Draws& draws, Canvas& canvas) {
  const int count = draws.below(most_clutter + 1);
  for (int i = 0; i < count; ++i) {
    const float x = draws.uniform(0, side), y = draws.uniform(0, side), radius = draws.uniform(2, 4);
    const int shape = draws.below(figure_shapes), fill = draws.below(figure_fills);
    canvas.paint(random_figure(draws, shape, fill, {x, y}, radius, canvas.at(int(x), int(y))));
  }
}

int longer_side(const Extent& extent) {
  return std::max(extent.width(), extent.height());
}

// Makes the longer side of the figure's box as long as wanted, or a pixel off where pixels allow no closer.
// How much larger than its radius a figure is depends on its shape, on how it is squeezed and turned.
Extent fit(Figure& figure, int wanted) {
  Extent extent = extent_of(figure);
  for (int tries = 0; tries < 3 && !extent.empty() && longer_side(extent) != wanted; ++tries) {
    figure.frame.grow(float(wanted) / float(longer_side(extent)));
    extent = extent_of(figure);
  }
  return extent;
}

bool fits(const Extent& extent) {
  const int longer = longer_side(extent);
  return longer >= side_low && longer <= side_high && extent.left >= 0 && extent.top >= 0 &&
         extent.right <= side && extent.bottom <= side;
}

// The figure wholly inside the picture, where its box leaves the others alone; nothing if no place was found.
void draw_figure(Draws& draws, Canvas& canvas, std::vector<Drawn>& drawn) {
  const int figure_class = draws.below(figure_classes);
  const float wanted = spread_evenly(draws.word(), side_low, side_high);
  for (int tries = 0; tries < most_tries; ++tries) {
    const float margin = 0.5f * wanted;
    const float x = draws.uniform(margin, side - margin), y = draws.uniform(margin, side - margin);
    Figure figure = random_figure(draws, figure_class / figure_fills, figure_class % figure_fills, {x, y},
                                  wanted / 1.8f, canvas.at(int(x), int(y)));
    blend_some(draws, figure);
    const Extent extent = fit(figure, int(wanted + 0.5f));
    if (!fits(extent) || !apart(extent, drawn)) continue;
    figure.period *= std::max(1.0f, figure.frame.radius / 12);
    canvas.paint(figure);
    drawn.push_back({extent, figure_class, false});
    return;
  }
}

void draw_crowd(Draws& draws, Canvas& canvas, std::vector<Drawn>& drawn) {
  const int figure_class = draws.below(figure_classes);
  const float x = draws.uniform(24, side - 24), y = draws.uniform(24, side - 24);
  const int count = crowd_least + draws.below(crowd_most - crowd_least + 1);
  Drawn crowd{{}, figure_class, true};
  for (int i = 0; i < count; ++i) {
    const Point centre{x + draws.uniform(-18, 18), y + draws.uniform(-18, 18)};
    const float radius = draws.uniform(3, 4.5f);
    crowd.extent.add(
        canvas.paint(random_figure(draws, figure_class / figure_fills, figure_class % figure_fills, centre,
                                   radius, canvas.at(int(centre.x), int(centre.y)))));
  }
  if (!crowd.extent.empty()) drawn.push_back(crowd);
}

std::vector<Drawn> draw_scene(uint64_t seed, Purpose purpose, uint32_t sample, uint8_t* out) {
  Draws draws(seed, purpose, sample);
  Canvas canvas(draws, side);
  draw_clutter(draws, canvas);
  std::vector<Drawn> drawn;
  if (draws.chance(crowd_chance)) draw_crowd(draws, canvas, drawn);
  const int figures = 1 + draws.below(most_figures);
  for (int i = 0; i < figures; ++i) draw_figure(draws, canvas, drawn);
  canvas.develop(draws, out);
  return drawn;
}

std::string file_name(int64_t id) {
  char name[32];
  std::snprintf(name, sizeof name, "%06d.png", int(id));
  return name;
}

DetectionPart draw_part(uint64_t seed, Purpose purpose, int count,
                        const std::vector<CocoCategory>& categories) {
  constexpr size_t bytes = size_t(side) * side * 3;
  const auto pixels = std::make_shared<std::vector<uint8_t>>(size_t(count) * bytes);
  std::vector<std::vector<Drawn>> drawn{size_t(count)};
  std::atomic<int> next{0};
  const auto work = [&] {
    constexpr int chunk = 8;
    for (int first; (first = next.fetch_add(chunk)) < count;)
      for (int i = first; i < std::min(count, first + chunk); ++i)
        drawn[size_t(i)] = draw_scene(seed, purpose, uint32_t(i), pixels->data() + size_t(i) * bytes);
  };
  std::vector<std::jthread> helpers;
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  helpers.clear();  // joins

  DetectionPart part;
  part.annotations.categories = categories;
  for (int i = 0; i < count; ++i) {
    part.annotations.images.push_back({i + 1, file_name(i + 1), side, side});
    for (const Drawn& d : drawn[size_t(i)]) {
      const Extent& e = d.extent;
      const CocoRect box{double(e.left), double(e.top), double(e.width()), double(e.height())};
      part.annotations.annotations.push_back({int64_t(part.annotations.annotations.size()) + 1, i + 1,
                                              d.figure_class + 1, box, double(e.pixels), d.crowd});
    }
  }
  part.picture = [pixels](int64_t i) {
    const auto first = pixels->begin() + int64_t(bytes) * i;
    return Image{side, side, {first, first + int64_t(bytes)}};
  };
  return part;
}

}  // namespace

SyntheticOptions scenes_defaults() {
  return {.train = 1920, .test = 480};
}

DetectionData draw_scenes(const SyntheticOptions& options, Parts parts) {
  DetectionData data;
  data.name = "scenes";
  for (int c = 0; c < figure_classes; ++c) data.categories.push_back({c + 1, figure_class_name(c)});
  data.mean = {.3555f, .3573f, .3558f};
  data.stddev = {.2042f, .2042f, .2054f};
  data.train = draw_part(options.seed, box_purpose::scenes_train, parts == Parts::both ? options.train : 0,
                         data.categories);
  data.test = draw_part(options.seed, box_purpose::scenes_test, options.test, data.categories);
  return data;
}

}  // namespace retort
