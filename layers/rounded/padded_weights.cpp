#include "layers/rounded/padded_weights.h"

#include "layers/module.h"

namespace retort {

Array padded_for_images(Device& device, const Shape& shape, const std::vector<double>& weights) {
  std::vector<double> padded;
  for (size_t i = 0; i < weights.size(); ++i) {
    padded.push_back(weights[i]);
    if ((i + 1) % size_t(image_channels) == 0)
      padded.resize((i + 1) / size_t(image_channels) * size_t(padded_image_channels));
  }
  const Array array = device.persistent({shape[0], shape[1], shape[2], padded_image_channels},
                                        image_type(device.precision()));
  write_values(device, array, padded);
  return array;
}

}  // namespace retort
