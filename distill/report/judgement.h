// How sure a network is of what it says, how often it is right then, and what it takes for what.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace retort {

constexpr size_t confidence_bins = 15;

// Of one network on the test images.
struct Judgement {
  // By the probability of the class it says, in bins of equal width from 0 to 1: images, those it is right
  // on, and the sum of the probabilities.
  std::vector<int64_t> images, right;
  std::vector<double> confidence;
  std::map<std::pair<int, int>, int64_t> said;  // how often of a class (first) it says another

  bool empty() const { return images.empty(); }
  int64_t count() const;
  // The expected calibration error, a fraction: the mean over all images of how far confidence and accuracy
  // of their bin are apart (Guo et al. 2017, arXiv:1706.04599).
  double calibration_error() const;
  double mean_confidence() const;
  double accuracy() const;
};

// Of logits, N rows of as many as there are classes, and the labels of the images.
Judgement judge(std::span<const float> logits, std::span<const int32_t> labels, size_t classes);

// All images of several networks together.
Judgement joined(const std::vector<Judgement>& all);

}  // namespace retort
