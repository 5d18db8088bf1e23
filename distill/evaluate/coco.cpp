#include "distill/evaluate/coco.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

namespace retort {

namespace {

constexpr int threshold_count = 10, recall_count = 101, range_count = 4, limit_count = 3;
constexpr size_t limits[limit_count] = {1, 10, 100};  // boxes a class and image

// In this order of operations: .5 + i * (.95 - .5) / 9 is one rounding off at i = 7.
double iou_threshold(int i) {
  return .5 + i * ((.95 - .5) / 9);
}
// The last is exact, 100 * .01 is not for sure.
double recall_threshold(int i) {
  return i == recall_count - 1 ? 1 : i * .01;
}

struct Range {
  double least, most;
  bool holds(double area) const { return area >= least && area <= most; }
};
constexpr Range ranges[range_count] = {{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}};

struct Truth {
  CocoRect box;
  double area;
  bool crowd;
};
struct Found {
  CocoRect box;
  double score;
};

// One class in one image: its annotations in the file's order, its detections by falling score.
struct Cell {
  std::vector<Truth> truths;
  std::vector<Found> found;
};

enum class Verdict : char { wrong, right, ignored };

// What became of a cell's detections in one range of areas.
struct Matched {
  std::vector<double> scores;
  std::vector<std::array<Verdict, threshold_count>> verdicts;  // per detection
  int64_t truths = 0;                                          // that are not ignored
};

// Places in `items` by falling score; equal ones stay in their order.
template <class Items>
std::vector<size_t> by_falling_score(const Items& items) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return items[a].score > items[b].score; });
  return order;
}

Matched match(const Cell& cell, const Range& range) {
  const size_t detections = cell.found.size(), truths = cell.truths.size();
  // Ignored annotations come last: a detection takes one only where no other is left.
  std::vector<char> ignored(truths);
  for (size_t g = 0; g < truths; ++g) ignored[g] = cell.truths[g].crowd || !range.holds(cell.truths[g].area);
  std::vector<size_t> order(truths);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ignored[a] < ignored[b]; });

  Matched result;
  result.truths = std::count(ignored.begin(), ignored.end(), 0);
  result.verdicts.resize(detections);
  std::vector<double> ious(detections * truths);
  for (size_t d = 0; d < detections; ++d) {
    result.scores.push_back(cell.found[d].score);
    for (size_t g = 0; g < truths; ++g) {
      const Truth& truth = cell.truths[order[g]];
      ious[d * truths + g] = coco_iou(cell.found[d].box, truth.box, truth.crowd);
    }
  }
  std::vector<char> taken(truths);
  for (int t = 0; t < threshold_count; ++t) {
    std::fill(taken.begin(), taken.end(), 0);
    for (size_t d = 0; d < detections; ++d) {
      double best = std::min(iou_threshold(t), 1 - 1e-10);
      size_t match = truths;  // none
      for (size_t g = 0; g < truths; ++g) {
        const Truth& truth = cell.truths[order[g]];
        if (taken[g] && !truth.crowd) continue;
        if (match < truths && !ignored[order[match]] && ignored[order[g]]) break;
        if (ious[d * truths + g] < best) continue;
        best = ious[d * truths + g];
        match = g;
      }
      Verdict& verdict = result.verdicts[d][size_t(t)];
      if (match < truths) {
        taken[match] = 1;
        verdict = ignored[order[match]] ? Verdict::ignored : Verdict::right;
      } else {
        const CocoRect& box = cell.found[d].box;
        verdict = range.holds(box.width * box.height) ? Verdict::wrong : Verdict::ignored;
      }
    }
  }
  return result;
}

// Of one class, range and limit of boxes.
struct Curve {
  bool measured = false;  // there is an annotation that is not ignored
  std::array<std::array<double, recall_count>, threshold_count> precision{};
  std::array<double, threshold_count> recall{};
};

Curve curve_of(const std::vector<Matched>& images, size_t limit) {
  struct Detection {
    double score;
    const std::array<Verdict, threshold_count>* verdicts;
  };
  std::vector<Detection> detections;
  int64_t truths = 0;
  for (const Matched& image : images) {
    truths += image.truths;
    for (size_t d = 0; d < std::min(limit, image.scores.size()); ++d)
      detections.push_back({image.scores[d], &image.verdicts[d]});
  }
  Curve curve;
  if (truths == 0) return curve;
  curve.measured = true;
  const std::vector<size_t> order = by_falling_score(detections);
  std::vector<double> recall(order.size()), precision(order.size());
  for (int t = 0; t < threshold_count; ++t) {
    double right = 0, wrong = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const Verdict verdict = (*detections[order[i]].verdicts)[size_t(t)];
      right += verdict == Verdict::right;
      wrong += verdict == Verdict::wrong;
      recall[i] = right / double(truths);
      precision[i] = right / (wrong + right + std::numeric_limits<double>::epsilon());
    }
    for (size_t i = order.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
    for (int r = 0; r < recall_count; ++r) {
      const auto first = std::lower_bound(recall.begin(), recall.end(), recall_threshold(r));
      curve.precision[size_t(t)][size_t(r)] =
          first == recall.end() ? 0 : precision[size_t(first - recall.begin())];
    }
    curve.recall[size_t(t)] = recall.empty() ? 0 : recall.back();
  }
  return curve;
}

// A mean that is -1 of nothing.
class Mean {
 public:
  void add(double value) {
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ == 0 ? -1 : sum_ / double(count_); }

 private:
  double sum_ = 0;
  int64_t count_ = 0;
};

struct Means {
  Mean ap, ap50, ap75, recall;
  void add(const Curve& curve) {
    if (!curve.measured) return;
    for (size_t t = 0; t < threshold_count; ++t) {
      recall.add(curve.recall[t]);
      for (const double precision : curve.precision[t]) {
        ap.add(precision);
        if (t == 0) ap50.add(precision);
        if (t == 5) ap75.add(precision);
      }
    }
  }
};

// Every class's cells, by image in ascending order; only those in which there is something.
std::map<int64_t, std::map<int64_t, Cell>> cells_of(const CocoAnnotations& annotations,
                                                    const std::vector<CocoDetection>& detections) {
  std::map<int64_t, std::map<int64_t, Cell>> cells;
  for (const CocoAnnotation& a : annotations.annotations)
    cells[a.category][a.image].truths.push_back({a.box, a.area, a.crowd});
  for (const size_t d : by_falling_score(detections)) {
    std::vector<Found>& found = cells[detections[d].category][detections[d].image].found;
    if (found.size() < limits[limit_count - 1]) found.push_back({detections[d].box, detections[d].score});
  }
  return cells;
}

}  // namespace

double coco_iou(const CocoRect& d, const CocoRect& g, bool crowd) {
  const double width = std::min(d.x + d.width, g.x + g.width) - std::max(d.x, g.x);
  const double height = std::min(d.y + d.height, g.y + g.height) - std::max(d.y, g.y);
  if (width <= 0 || height <= 0) return 0;
  const double intersection = width * height, area = d.width * d.height;
  return intersection / (crowd ? area : area + g.width * g.height - intersection);
}

CocoScores coco_scores(const CocoAnnotations& annotations, const std::vector<CocoDetection>& detections) {
  std::map<int64_t, std::map<int64_t, Cell>> cells = cells_of(annotations, detections);
  CocoScores scores;
  Means means[range_count][limit_count];
  for (const CocoCategory& category : annotations.categories) {
    CocoScores::Class one{category.id, category.name};
    for (int r = 0; r < range_count; ++r) {
      std::vector<Matched> images;
      for (const auto& [image, cell] : cells[category.id]) images.push_back(match(cell, ranges[r]));
      for (int l = 0; l < limit_count; ++l) {
        const Curve curve = curve_of(images, limits[l]);
        means[r][l].add(curve);
        if (r > 0 || l < limit_count - 1) continue;
        Means alone;
        alone.add(curve);
        one.ap = alone.ap.value();
        one.ap50 = alone.ap50.value();
        one.ap75 = alone.ap75.value();
      }
    }
    scores.classes.push_back(std::move(one));
  }
  const Means& all = means[0][2];
  scores.ap = all.ap.value();
  scores.ap50 = all.ap50.value();
  scores.ap75 = all.ap75.value();
  scores.ap_small = means[1][2].ap.value();
  scores.ap_medium = means[2][2].ap.value();
  scores.ap_large = means[3][2].ap.value();
  scores.ar1 = means[0][0].recall.value();
  scores.ar10 = means[0][1].recall.value();
  scores.ar100 = all.recall.value();
  scores.ar_small = means[1][2].recall.value();
  scores.ar_medium = means[2][2].recall.value();
  scores.ar_large = means[3][2].recall.value();
  return scores;
}

const std::array<NamedCocoScore, 12>& named_coco_scores() {
  static const std::array<NamedCocoScore, 12> names = {{{"AP", &CocoScores::ap},
                                                        {"AP50", &CocoScores::ap50},
                                                        {"AP75", &CocoScores::ap75},
                                                        {"APs", &CocoScores::ap_small},
                                                        {"APm", &CocoScores::ap_medium},
                                                        {"APl", &CocoScores::ap_large},
                                                        {"AR1", &CocoScores::ar1},
                                                        {"AR10", &CocoScores::ar10},
                                                        {"AR100", &CocoScores::ar100},
                                                        {"ARs", &CocoScores::ar_small},
                                                        {"ARm", &CocoScores::ar_medium},
                                                        {"ARl", &CocoScores::ar_large}}};
  return names;
}

}  // namespace retort
