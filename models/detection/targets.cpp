#include "models/detection/targets.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace retort {

Matches match(std::span<const BoundingBox> candidates, std::span<const BoundingBox> truth) {
  const size_t n = candidates.size();
  Matches result{std::vector<int32_t>(n, -1), std::vector<float>(n, 0.0f), std::vector<bool>(n, false)};
  std::vector<float> overlaps(n);
  for (size_t t = 0; t < truth.size(); ++t) {
    float most = 0;
    for (size_t i = 0; i < n; ++i) {
      overlaps[i] = iou(candidates[i], truth[t]);
      most = std::max(most, overlaps[i]);
      if (result.best[i] < 0 || overlaps[i] > result.overlap[i]) {
        result.best[i] = int32_t(t);
        result.overlap[i] = overlaps[i];
      }
    }
    if (most > 0)
      for (size_t i = 0; i < n; ++i)
        if (overlaps[i] == most) result.best_of_some[i] = true;
  }
  return result;
}

std::vector<int32_t> drawn(std::vector<int32_t> numbers, int64_t count, RandomWords& random) {
  if (count >= int64_t(numbers.size())) return numbers;
  // The first steps of a Fisher-Yates shuffle.
  for (int64_t i = 0; i < count; ++i) {
    const int64_t left = int64_t(numbers.size()) - i;
    std::swap(numbers[size_t(i)], numbers[size_t(i + int64_t(random_below(random.next(), uint32_t(left))))]);
  }
  numbers.resize(size_t(std::max<int64_t>(0, count)));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

AnchorTargets anchor_targets(const DetectorSpec& spec, std::span<const BoundingBox> anchors,
                             std::span<const BoundingBox> truth, RandomWords random) {
  const Matches matches = match(anchors, truth);
  std::vector<int32_t> objects, background;
  for (size_t i = 0; i < anchors.size(); ++i) {
    if (matches.overlap[i] >= spec.rpn_object || matches.best_of_some[i])
      objects.push_back(int32_t(i));
    else if (matches.overlap[i] < spec.rpn_background)
      background.push_back(int32_t(i));
  }
  const auto samples = std::min(int64_t(spec.rpn_samples), int64_t(anchors.size()));
  objects = drawn(std::move(objects), spec.rpn_samples / 2, random);
  background = drawn(std::move(background), samples - int64_t(objects.size()), random);

  AnchorTargets targets;
  std::vector<bool> used(anchors.size(), false);
  const auto put = [&](int32_t anchor, float weight, bool object) {
    used[size_t(anchor)] = true;
    targets.anchors.push_back(anchor);
    targets.weights.push_back(weight);
    targets.objects.push_back(object ? 1.0f : 0.0f);
    targets.deltas.push_back(
        object ? proposal_coder.encode(truth[size_t(matches.best[size_t(anchor)])], anchors[size_t(anchor)])
               : BoxDeltas{});
  };
  for (const int32_t anchor : objects) put(anchor, 1, true);
  for (const int32_t anchor : background) put(anchor, 1, false);
  for (size_t i = 0; int64_t(targets.anchors.size()) < samples; ++i)
    if (!used[i]) put(int32_t(i), 0, false);
  return targets;
}

RoiTargets roi_targets(const DetectorSpec& spec, std::vector<BoundingBox> proposals, const TrueBoxes& truth,
                       int32_t background, RandomWords random) {
  check(truth.boxes.size() == truth.classes.size(), "roi_targets: ", truth.boxes.size(), " boxes with ",
        truth.classes.size(), " classes");
  proposals.insert(proposals.end(), truth.boxes.begin(), truth.boxes.end());
  const Matches matches = match(proposals, truth.boxes);
  std::vector<int32_t> objects, others;
  for (size_t i = 0; i < proposals.size(); ++i)
    (matches.best[i] >= 0 && matches.overlap[i] >= spec.roi_object ? objects : others).push_back(int32_t(i));
  objects = drawn(std::move(objects), int64_t(spec.roi_samples * spec.roi_objects), random);
  others = drawn(std::move(others), spec.roi_samples - int64_t(objects.size()), random);

  RoiTargets targets;
  for (const int32_t i : objects) {
    const auto t = size_t(matches.best[size_t(i)]);
    targets.boxes.push_back(proposals[size_t(i)]);
    targets.classes.push_back(truth.classes[t]);
    targets.deltas.push_back(class_coder.encode(truth.boxes[t], proposals[size_t(i)]));
  }
  for (const int32_t i : others) {
    targets.boxes.push_back(proposals[size_t(i)]);
    targets.classes.push_back(background);
    targets.deltas.push_back(BoxDeltas{});
  }
  return targets;
}

}  // namespace retort
