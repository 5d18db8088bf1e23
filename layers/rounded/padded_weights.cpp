#include "layers/rounded/padded_weights.h"

#include "layers/module.h"

namespace retort {

void write_padded(Device& device, Array& to, const Shape& shape, const std::vector<double>& weights) {
  std::vector<double> padded;
  for (size_t i = 0; i < weights.size(); ++i) {
    padded.push_back(weights[i]);
    if ((i + 1) % size_t(image_channels) == 0)
      padded.resize((i + 1) / size_t(image_channels) * size_t(padded_image_channels));
  }
  if (!to)
    to = device.persistent({shape[0], shape[1], shape[2], padded_image_channels},
                           image_type(device.precision()));
  write_values(device, to, padded);
}

}  // namespace retort
