// JPEGs by libjpeg-turbo, which decodes a part of a picture without the rest: jpeg_turbo.cpp where the library was
// found, jpeg_turbo_absent.cpp elsewhere.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/formats/resize.h"

namespace retort {

bool turbo_built();

// The window of a grey or colour JPEG of height x width pixels (JpegParts::stream), as R, G, B: byte for byte
// what Pillow decodes. `pixels` holds what is viewed. Fault::input with the library's reason for what it
// cannot decode, or only with a warning, wherever in the stream: the same file is good or bad whatever window
// is asked for.
PixelView decode_with_turbo(std::span<const uint8_t> stream, int height, int width, const Box& window,
                            const std::string& name, std::vector<uint8_t>& pixels);

}  // namespace retort
