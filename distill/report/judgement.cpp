#include "distill/report/judgement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/check.h"

namespace retort {

int64_t Judgement::count() const {
  return std::accumulate(images.begin(), images.end(), int64_t{0});
}

double Judgement::calibration_error() const {
  double sum = 0;
  for (size_t b = 0; b < images.size(); ++b) sum += std::abs(confidence[b] - double(right[b]));
  return sum / double(std::max<int64_t>(1, count()));
}

double Judgement::mean_confidence() const {
  return std::accumulate(confidence.begin(), confidence.end(), 0.0) / double(std::max<int64_t>(1, count()));
}

double Judgement::accuracy() const {
  return double(std::accumulate(right.begin(), right.end(), int64_t{0})) /
         double(std::max<int64_t>(1, count()));
}

Judgement judge(std::span<const float> logits, std::span<const int32_t> labels, size_t classes) {
  check(classes > 0 && logits.size() == labels.size() * classes, "judge: ", logits.size(), " logits of ",
        labels.size(), " images and ", classes, " classes");
  Judgement judged{.images = std::vector<int64_t>(confidence_bins),
                   .right = std::vector<int64_t>(confidence_bins),
                   .confidence = std::vector<double>(confidence_bins),
                   .said = {}};
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::span<const float> row = logits.subspan(i * classes, classes);
    const auto top = std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float z : row) sum += std::exp(double(z) - double(*top));
    const double probability = 1 / sum;
    const auto says = int(top - row.begin());
    const size_t bin = std::min(confidence_bins - 1, size_t(probability * double(confidence_bins)));
    ++judged.images[bin];
    judged.right[bin] += says == labels[i];
    judged.confidence[bin] += probability;
    ++judged.said[{labels[i], says}];
  }
  return judged;
}

Judgement joined(const std::vector<Judgement>& all) {
  Judgement sum;
  for (const Judgement& one : all) {
    if (one.empty()) continue;
    if (sum.empty()) {
      sum = one;
      continue;
    }
    for (size_t b = 0; b < sum.images.size(); ++b) {
      sum.images[b] += one.images[b];
      sum.right[b] += one.right[b];
      sum.confidence[b] += one.confidence[b];
    }
    for (const auto& [which, count] : one.said) sum.said[which] += count;
  }
  return sum;
}

}  // namespace retort
