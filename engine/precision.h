// What images and convolutions are computed in. Master weights, batch norm's parameters and statistics,
// linear layers and losses are f32 in each.
#pragma once
#include <string>

#include "engine/shape.h"

namespace retort {

enum class Precision {
  fp32,  // everything in f32; the only one of the CPU backends
  tf32,  // f32, but convolutions may round their operands to 10 bits of mantissa for the tensor cores
  bf16,  // images and convolutions in bf16: 8 bits of mantissa, the range of f32
  fp16,  // in f16: 11 bits of mantissa, a small range, so that the loss is scaled
};

const char* name_of(Precision precision);
// Fault::usage for an unknown name.
Precision precision_named(const std::string& name);
// Of images and feature maps.
DType image_type(Precision precision);

// Engines of the tensor cores read 16 bytes at once: images in 16 bits are drawn with their 3 channels and
// zeros up to here, and the weights that read them have zeros there too.
constexpr int64_t image_channels = 3, padded_image_channels = 8;

}  // namespace retort
