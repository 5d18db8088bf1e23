#include "datasets/formats/png_writer.h"

#include <string>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace retort {

void write_png(const std::filesystem::path& path, const Image& image) {
  check(image.height > 0 && image.width > 0 &&
            image.pixels.size() == size_t(image.height) * size_t(image.width) * 3,
        path.string(), ": a picture of ", image.height, " x ", image.width, " with ", image.pixels.size(),
        " bytes");
  std::string file;
  const auto append = [](void* to, void* data, int bytes) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size_t(bytes));
  };
  check(stbi_write_png_to_func(append, &file, image.width, image.height, 3, image.pixels.data(),
                               3 * image.width),
        Fault::memory, path.string(), ": no memory to compress the picture");
  write_file(path, file);
}

}  // namespace retort
