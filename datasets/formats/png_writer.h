// Pictures as PNG files.
#pragma once
#include <filesystem>

#include "datasets/formats/image_file.h"

namespace retort {

// Atomically. Failures are Fault::write.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace retort
