#include "distill/evaluate/coco.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
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

// One class in one image: its annotations in the file's order, its detections by falling score.
struct Cell {
  std::span<const CocoAnnotation* const> truths;
  std::span<const CocoDetection* const> found;  // at most as many as the largest limit
};

enum class Verdict : char { wrong, right, ignored };
using Verdicts = std::array<Verdict, threshold_count>;

// What became of one class's detections, those of images in ascending order behind each other.
struct Matched {
  std::vector<double> scores;
  std::vector<size_t> ranks;                    // each one's place among its image's
  std::vector<Verdicts> verdicts[range_count];  // in each range of areas
  int64_t truths[range_count] = {};             // that are not ignored
};

// Adds a cell's detections in one range. ious: of each detection with each annotation.
void match(const Cell& cell, const std::vector<double>& ious, int r, Matched& matched) {
  const Range& range = ranges[r];
  const size_t truths = cell.truths.size();
  const auto is_ignored = [&](size_t g) {
    return cell.truths[g]->crowd || !range.holds(cell.truths[g]->area);
  };
  // Ignored annotations come last: a detection takes one only where no other is left.
  std::vector<size_t> order;
  for (size_t g = 0; g < truths; ++g)
    if (!is_ignored(g)) order.push_back(g);
  const size_t counted = order.size();
  matched.truths[r] += int64_t(counted);
  for (size_t g = 0; g < truths; ++g)
    if (is_ignored(g)) order.push_back(g);

  std::vector<Verdicts>& verdicts = matched.verdicts[r];
  const size_t first = verdicts.size();
  for (const CocoDetection* found : cell.found) {
    verdicts.emplace_back();
    verdicts.back().fill(range.holds(found->box.width * found->box.height) ? Verdict::wrong
                                                                           : Verdict::ignored);
  }
  if (truths == 0) return;
  std::vector<char> taken(truths);
  for (int t = 0; t < threshold_count; ++t) {
    std::fill(taken.begin(), taken.end(), 0);
    for (size_t d = 0; d < cell.found.size(); ++d) {
      double best = std::min(iou_threshold(t), 1 - 1e-10);
      size_t match = truths;  // none
      for (size_t g = 0; g < truths; ++g) {
        if (taken[g] && !cell.truths[order[g]]->crowd) continue;
        if (match < counted && g >= counted) break;
        const double iou = ious[d * truths + order[g]];
        if (iou < best) continue;
        best = iou;
        match = g;
      }
      if (match == truths) continue;
      taken[match] = 1;
      verdicts[first + d][size_t(t)] = match < counted ? Verdict::right : Verdict::ignored;
    }
  }
}

void match(const Cell& cell, Matched& matched) {
  std::vector<double> ious;
  for (size_t d = 0; d < cell.found.size(); ++d) {
    const CocoDetection& found = *cell.found[d];
    matched.scores.push_back(found.score);
    matched.ranks.push_back(d);
    for (const CocoAnnotation* truth : cell.truths)
      ious.push_back(coco_iou(found.box, truth->box, truth->crowd));
  }
  for (int r = 0; r < range_count; ++r) match(cell, ious, r, matched);
}

// Of one class, range and limit of boxes.
struct Curve {
  bool measured = false;  // there is an annotation that is not ignored
  std::array<std::array<double, recall_count>, threshold_count> precision{};
  std::array<double, threshold_count> recall{};
};

// order: the detections that count, by falling score.
Curve curve_of(const Matched& matched, int r, const std::vector<size_t>& order) {
  const auto truths = double(matched.truths[r]);
  Curve curve;
  if (truths == 0) return curve;
  curve.measured = true;
  std::vector<double> recall(order.size()), precision(order.size());
  for (int t = 0; t < threshold_count; ++t) {
    double right = 0, wrong = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const Verdict verdict = matched.verdicts[r][order[i]][size_t(t)];
      right += verdict == Verdict::right;
      wrong += verdict == Verdict::wrong;
      recall[i] = right / truths;
      precision[i] = right / (wrong + right + std::numeric_limits<double>::epsilon());
    }
    for (size_t i = order.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
    for (int k = 0; k < recall_count; ++k) {
      const auto first = std::lower_bound(recall.begin(), recall.end(), recall_threshold(k));
      curve.precision[size_t(t)][size_t(k)] =
          first == recall.end() ? 0 : precision[size_t(first - recall.begin())];
    }
    curve.recall[size_t(t)] = recall.empty() ? 0 : recall.back();
  }
  return curve;
}

// Places in `scores`, the highest first; equal ones stay in their order.
std::vector<size_t> by_falling(const std::vector<double>& scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  return order;
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

// By category, then image, the annotations of each in the file's order and its detections by falling score;
// equal ones stay in their order.
template <class Item, class Less>
std::vector<const Item*> sorted(const std::vector<Item>& items, const Less& less) {
  std::vector<const Item*> all;
  for (const Item& item : items) all.push_back(&item);
  std::stable_sort(all.begin(), all.end(), [&](const Item* a, const Item* b) {
    if (a->category != b->category) return a->category < b->category;
    return a->image != b->image ? a->image < b->image : less(*a, *b);
  });
  return all;
}

template <class Item>
std::span<const Item* const> of_category(const std::vector<const Item*>& sorted, int64_t category) {
  const auto first = std::partition_point(sorted.begin(), sorted.end(),
                                          [&](const Item* item) { return item->category < category; });
  const auto last =
      std::partition_point(first, sorted.end(), [&](const Item* item) { return item->category == category; });
  return {first, last};
}

// Takes the items of one image off the front.
template <class Item>
std::span<const Item* const> taken(std::span<const Item* const>& items, int64_t image) {
  size_t count = 0;
  while (count < items.size() && items[count]->image == image) ++count;
  const auto front = items.first(count);
  items = items.subspan(count);
  return front;
}

Matched matched_images(std::span<const CocoAnnotation* const> truths,
                       std::span<const CocoDetection* const> found) {
  constexpr size_t most = limits[limit_count - 1];
  Matched matched;
  while (!truths.empty() || !found.empty()) {
    const int64_t image = truths.empty()  ? found[0]->image
                          : found.empty() ? truths[0]->image
                                          : std::min(truths[0]->image, found[0]->image);
    const auto own = taken(truths, image);
    const auto of_it = taken(found, image);
    match({own, of_it.first(std::min(of_it.size(), most))}, matched);
  }
  return matched;
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
  const auto truths =
      sorted(annotations.annotations, [](const CocoAnnotation&, const CocoAnnotation&) { return false; });
  const auto found =
      sorted(detections, [](const CocoDetection& a, const CocoDetection& b) { return a.score > b.score; });
  CocoScores scores;
  Means means[range_count][limit_count];
  for (const CocoCategory& category : annotations.categories) {
    const Matched matched = matched_images(of_category(truths, category.id), of_category(found, category.id));
    const std::vector<size_t> order = by_falling(matched.scores);
    CocoScores::Class one{category.id, category.name};
    for (int l = 0; l < limit_count; ++l) {
      std::vector<size_t> counted;
      for (const size_t d : order)
        if (matched.ranks[d] < limits[l]) counted.push_back(d);
      // What is told of smaller limits is the recall of objects of all sizes.
      for (int r = 0; r < (l < limit_count - 1 ? 1 : range_count); ++r) {
        const Curve curve = curve_of(matched, r, counted);
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
