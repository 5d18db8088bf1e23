// Convolution weights that are kept in 16 bits as well, as the kernels of a step read them, and whose
// gradients come in 16 bits: where they stand in the optimiser's flat tensors, see MixedWeights.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/optim/mixed_weights.h"
#include "engine/optim/named_parameter.h"

namespace retort {

// The parameters with their convolution weights marked as narrow, where the device computes in 16 bits; those
// of the first that reads 3 channels get padded_image_channels if images are drawn with them. For a network
// that gets one gradient a step, with SgdOptions as they are by default but for its numbers and loss scaling:
// a sum of several gradients would be taken in 16 bits.
std::vector<NamedParameter> in_16_bits(std::vector<NamedParameter> parameters, const Device& device,
                                       bool padded_images);

// Narrow ones before the others, and before them the one that is padded; else in their order.
void narrow_first(std::vector<NamedParameter>& parameters);

// What MixedWeights says of places, without tensors. offsets: of the parameters, narrow ones first, and their
// end.
MixedWeights layout_of(const std::vector<NamedParameter>& parameters, const std::vector<int64_t>& offsets);
// Of a narrow parameter in 16 bits.
Shape narrow_shape(const NamedParameter& parameter);

// Writes weights.rounded anew from weights.w. Rare: by way of the host.
void round_values(Device& device, const MixedWeights& weights);

}  // namespace retort
