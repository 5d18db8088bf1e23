// The one place where stb_image is compiled.
#include <cstdlib>

namespace {

// A small file can claim to unpack to gigabytes: no single block of a picture we accept is larger than this.
constexpr size_t max_block = size_t(1) << 29;

// Zeroed: what a damaged picture leaves out is the same in every run.
void* limited_malloc(size_t bytes) {
  return bytes <= max_block ? std::calloc(bytes, 1) : nullptr;
}
void* limited_realloc(void* block, size_t bytes) {
  return bytes <= max_block ? std::realloc(block, bytes) : nullptr;
}

}  // namespace

#define STBI_MALLOC(bytes) limited_malloc(bytes)
#define STBI_REALLOC(block, bytes) limited_realloc(block, bytes)
#define STBI_FREE(block) std::free(block)
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 16384
#define STB_IMAGE_IMPLEMENTATION
#include <retort_stb_image.h>
