// Whether a network that was written elsewhere computes what the model computes.
#pragma once
#include <span>
#include <vector>

#include "models/model.h"

namespace retort {

// Images of noise, N,H,W,C, and the model's logits for them.
struct LogitCheck {
  int64_t count;
  std::vector<float> images;
  std::vector<double> logits;

  LogitCheck(Model& model, Device& device, int64_t count);

  // The largest difference of what was found, relative to the largest logit; infinite if one is NaN or
  // the number of logits differs.
  double difference(std::span<const float> found) const;
};

}  // namespace retort
