#include "datasets/readers/synthetic.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "datasets/readers/figures.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {
namespace {

constexpr int side = 32;
constexpr int shapes = figure_shapes, fills = figure_fills, classes = figure_classes;

// What makes the images hard, with what figures.cpp has; a change here asks for new statistics in draw_set() and a new
// hash in the tests.
constexpr float radius_low = 8.5f, radius_high = 12;  // pixels
constexpr float off_centre = 3;                       // pixels either way
constexpr int most_clutter = 3, most_covers = 1;      // small figures behind and before

void draw_image(uint64_t seed, Purpose purpose, uint32_t sample, int label, uint8_t* out) {
  Draws draws(seed, purpose, sample);
  Canvas canvas(draws, side);

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
  blend_some(draws, figure);
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
  for (int c = 0; c < classes; ++c) set.class_names.push_back(figure_class_name(c));
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
  return parse(options, {}, "synthetic");
}

SyntheticOptions SyntheticOptions::parse(const std::string& options, const SyntheticOptions& defaults,
                                         const char* set) {
  SyntheticOptions result = defaults;
  for (size_t begin = 0; begin < options.size();) {
    const size_t end = std::min(options.find(',', begin), options.size());
    const std::string item = options.substr(begin, end - begin);
    const size_t equals = std::min(item.find('='), item.size());
    const std::string key = item.substr(0, equals), value = item.substr(std::min(equals + 1, item.size()));
    const auto number = [&](auto low, auto high, auto& to) {
      check(retort::parse(value, to) && to >= low && to <= high, Fault::usage,
            "data set '", set, ":", options, "': ", key, "=", value, ": expected a number from ", low, " to ",
            high);
    };
    if (key == "train") {
      number(1, 1'000'000, result.train);
    } else if (key == "test") {
      number(1, 1'000'000, result.test);
    } else if (key == "seed") {
      number(uint64_t(0), ~uint64_t(0), result.seed);
    } else {
      fail(Fault::usage, "data set '", set, ":", options, "': '", item,
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
