// How a network sees images: by the mean and deviation that it was trained with.
#pragma once
#include <string>

#include "datasets/augment/augment.h"
#include "datasets/image_set.h"
#include "models/channel_numbers.h"

namespace retort {

// By the numbers that its weights came with, or, where they do not say, by the set's own.
Normalize seen_by(const Weights& weights, const ImageSet& images);

// "R G B", as settings and metadata have them.
std::string mean_text(const Normalize& numbers);
std::string deviation_text(const Normalize& numbers);

// "mean 0.5 0.5 0.5, std 0.2 0.2 0.2", for messages.
std::string text_of(const Normalize& numbers);

}  // namespace retort
