// Convolution weights in 16 bits for images that are drawn with more channels than they have.
#pragma once
#include <vector>

#include "engine/device.h"

namespace retort {

// Weights K,R,S,3 in the device's 16 bits, to be read only, with zeros up to padded_image_channels. `to` is
// made if it is empty, and else written anew: captured steps read it.
void write_padded(Device& device, Array& to, const Shape& shape, const std::vector<double>& weights);

}  // namespace retort
