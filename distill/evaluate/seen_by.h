// How a network sees images: by the mean and deviation that it was trained with.
#pragma once
#include <string>
#include <vector>

#include "datasets/augment/augment.h"
#include "datasets/image_set.h"
#include "models/channel_numbers.h"

namespace retort {

// By the numbers that its weights came with, or, where they do not say, by the set's own.
Normalize seen_by(const Weights& weights, const ImageSet& images);

// A set's images one after the other as a network sees them that is given numbers, not batches of a device.
class ImagesSeen {
 public:
  // The set must outlive it.
  ImagesSeen(const ImageSet& images, const Normalize& numbers);
  // Images first to first + count - 1: N,H,W,C, valid until the next call. Fault::input for a photo that
  // cannot be read.
  const std::vector<float>& read(int64_t first, int64_t count);

 private:
  const ImageSet& images_;
  NormalizeTable normalize_;
  PictureReader reader_;
  std::vector<uint8_t> bytes_;
  std::vector<float> pixels_;
};

// "R G B", as settings and metadata have them.
std::string mean_text(const Normalize& numbers);
std::string deviation_text(const Normalize& numbers);

// "mean 0.5 0.5 0.5, std 0.2 0.2 0.2", for messages.
std::string text_of(const Normalize& numbers);

}  // namespace retort
