#include "engine/optim/narrow_weights.h"

#include <algorithm>

#include "engine/types.h"

namespace retort {

std::vector<NamedParameter> in_16_bits(std::vector<NamedParameter> parameters, const Device& device,
                                       bool padded_images) {
  if (!is_16_bit(image_type(device.precision()))) return parameters;
  bool padded = !padded_images;
  for (NamedParameter& p : parameters) {
    const Tensor& value = p.parameter->value.tensor;
    p.narrow = value.shape.rank() == 4 && value.type == DType::f32;
    if (padded || !p.narrow || value.shape.last() != image_channels) continue;
    p.channels = padded_image_channels;
    padded = true;
  }
  return parameters;
}

void narrow_first(std::vector<NamedParameter>& parameters) {
  std::stable_partition(parameters.begin(), parameters.end(),
                        [](const NamedParameter& p) { return p.narrow; });
  std::stable_partition(parameters.begin(), parameters.end(),
                        [](const NamedParameter& p) { return p.channels > 0; });
}

MixedWeights layout_of(const std::vector<NamedParameter>& parameters, const std::vector<int64_t>& offsets) {
  MixedWeights layout;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const NamedParameter& p = parameters[i];
    const int64_t end = offsets[i + 1], channels = p.parameter->value.tensor.shape.last();
    if (p.narrow) layout.narrow = end;
    if (p.channels == 0) continue;
    check(i == 0 && p.channels >= channels, "Sgd: parameter ", p.name, " in 16 bits with ", p.channels,
          " channels, expected one such parameter with at least ", channels);
    constexpr int64_t line = 32;  // elements of 64 bytes
    layout.images = end;
    layout.channels = channels;
    layout.spread = p.channels;
    layout.spread_images = ((end + channels - 1) / channels * p.channels + line - 1) / line * line;
  }
  return layout;
}

Shape narrow_shape(const NamedParameter& parameter) {
  const Shape& s = parameter.parameter->value.tensor.shape;
  return parameter.channels > 0 ? Shape{s[0], s[1], s[2], parameter.channels} : s;
}

void round_values(Device& device, const MixedWeights& weights) {
  std::vector<float> values(size_t(weights.w.size()));
  device.backend().download(values.data(), weights.w);
  std::vector<uint16_t> rounded(size_t(weights.rounded.size()), uint16_t(0));
  for (int64_t i = 0; i < weights.narrow; ++i)
    rounded[size_t(weights.place(i))] = bits16_of(weights.rounded.type, values[size_t(i)]);
  device.backend().upload(weights.rounded, rounded.data());
}

}  // namespace retort
