#include "models/export/logit_check.h"

#include <algorithm>
#include <cmath>

namespace retort {

LogitCheck::LogitCheck(Model& model, Device& device, int64_t images_wanted) : count(images_wanted) {
  const Array input = device.persistent({count, model.side, model.side, 3}, DType::f32);
  std::vector<double> pixels;
  for (int64_t i = 0; i < input.tensor.size(); ++i) pixels.push_back(2 * std::sin(12.9898 * double(i)));
  write_values(device, input, pixels);
  images.assign(pixels.begin(), pixels.end());
  logits = read_values(device, model(Var(input), Pass{device}));
}

double LogitCheck::difference(std::span<const float> found) const {
  if (found.size() != logits.size()) return INFINITY;
  double most = 0, largest = 1e-30;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double here = std::abs(double(found[i]) - logits[i]);
    most = std::isnan(here) ? INFINITY : std::max(most, here);
    largest = std::max(largest, std::abs(logits[i]));
  }
  return most / largest;
}

}  // namespace retort
