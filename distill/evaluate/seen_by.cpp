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

ImagesSeen::ImagesSeen(const ImageSet& images, const Normalize& numbers)
    : images_(images), normalize_(numbers), reader_(images.decoder) {}

const std::vector<float>& ImagesSeen::read(int64_t first, int64_t count) {
  const int64_t each = images_.image_bytes();
  bytes_.resize(size_t(count * each));
  pixels_.resize(bytes_.size());
  for (int64_t i = 0; i < count; ++i) images_.read(first + i, reader_, bytes_.data() + i * each);
  normalize_(bytes_.data(), count * each, pixels_.data());
  return pixels_;
}

}  // namespace retort
