#include "models/detection/proposals.h"

#include <algorithm>
#include <cmath>

#include "engine/base/check.h"

namespace retort {

namespace {

bool finite(const BoundingBox& box) {
  return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2);
}

template <class T>
std::vector<T> picked(const std::vector<T>& from, const std::vector<int32_t>& indices) {
  std::vector<T> result;
  result.reserve(indices.size());
  for (const int32_t i : indices) result.push_back(from[size_t(i)]);
  return result;
}

}  // namespace

std::vector<BoundingBox> make_proposals(const DetectorSpec& spec, int64_t height, int64_t width,
                                        std::span<const BoundingBox> anchors, std::span<const float> logits,
                                        std::span<const BoxDeltas> deltas, const PictureArea& picture,
                                        bool training) {
  check(anchors.size() == logits.size() && anchors.size() == deltas.size(),
        "make_proposals: ", anchors.size(), " anchors, ", logits.size(), " logits, ", deltas.size(),
        " deltas");
  const int candidates = training ? spec.candidates_train : spec.candidates_test;
  std::vector<BoundingBox> boxes;  // of all levels
  std::vector<float> scores;
  size_t first = 0;
  for (int level = 0; level < spec.levels(); ++level) {
    const auto count =
        size_t(places(spec, level, height) * places(spec, level, width) * int64_t(spec.ratios.size()));
    check(first + count <= anchors.size(), "make_proposals: ", anchors.size(), " anchors for an input of ",
          height, " x ", width);
    std::vector<BoundingBox> own;
    std::vector<float> own_scores;
    for (const int32_t i : highest(logits.subspan(first, count), candidates)) {
      const size_t at = first + size_t(i);
      const BoundingBox decoded = proposal_coder.decode(deltas[at], anchors[at]);
      if (!finite(decoded) || !std::isfinite(logits[at])) continue;
      const BoundingBox box = clipped(decoded, picture.width, picture.height);
      if (!(box.width() > 0 && box.height() > 0)) continue;
      own.push_back(box);
      own_scores.push_back(logits[at]);
    }
    const std::vector<int32_t> kept = suppress(own, own_scores, spec.proposal_overlap);
    for (const int32_t i : kept) {
      boxes.push_back(own[size_t(i)]);
      scores.push_back(own_scores[size_t(i)]);
    }
    first += count;
  }
  return picked(boxes, highest(scores, training ? spec.proposals_train : spec.proposals_test));
}

std::vector<Detection> make_detections(const DetectorSpec& spec, std::span<const BoundingBox> proposals,
                                       std::span<const float> probabilities,
                                       std::span<const BoxDeltas> deltas, int64_t classes,
                                       const PictureArea& picture) {
  const auto n = int64_t(proposals.size());
  check(int64_t(probabilities.size()) == n * (classes + 1) && int64_t(deltas.size()) == n * classes,
        "make_detections: ", n, " proposals of ", classes, " classes with ", probabilities.size(),
        " probabilities and ", deltas.size(), " deltas");
  std::vector<Detection> all;
  std::vector<float> all_scores;
  for (int64_t c = 0; c < classes; ++c) {
    std::vector<BoundingBox> boxes;
    std::vector<float> scores;
    for (int64_t i = 0; i < n; ++i) {
      const float score = probabilities[size_t(i * (classes + 1) + c)];
      if (!(score > spec.least_score)) continue;
      const BoundingBox decoded = class_coder.decode(deltas[size_t(i * classes + c)], proposals[size_t(i)]);
      if (!finite(decoded)) continue;
      const BoundingBox box = clipped(decoded, picture.width, picture.height);
      if (!(box.width() > 0 && box.height() > 0)) continue;
      boxes.push_back(box);
      scores.push_back(score);
    }
    for (const int32_t i : suppress(boxes, scores, spec.class_overlap)) {
      all.push_back({boxes[size_t(i)], int32_t(c), scores[size_t(i)]});
      all_scores.push_back(scores[size_t(i)]);
    }
  }
  return picked(all, highest(all_scores, spec.detections));
}

}  // namespace retort
