#include "distill/evaluate/seen_by.h"

#include <algorithm>
#include <array>

#include "datasets/loader.h"

namespace retort {

Normalize seen_by(const Weights& weights, const ImageSet& images) {
  Normalize numbers = normalize_of(images);
  if (const auto mean = channel_numbers(weights, "mean")) std::copy(mean->begin(), mean->end(), numbers.mean);
  if (const auto deviation = channel_numbers(weights, "std"))
    std::copy(deviation->begin(), deviation->end(), numbers.stddev);
  return numbers;
}

std::string mean_text(const Normalize& numbers) {
  return text_of(std::to_array(numbers.mean));
}

std::string deviation_text(const Normalize& numbers) {
  return text_of(std::to_array(numbers.stddev));
}

std::string text_of(const Normalize& numbers) {
  return "mean " + mean_text(numbers) + ", std " + deviation_text(numbers);
}

}  // namespace retort
