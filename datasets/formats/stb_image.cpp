// The one place where stb_image is compiled.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "datasets/formats/picture_decoder.h"

namespace {

// In front of each block: how many bytes it can hold.
struct alignas(std::max_align_t) Header {
  size_t room;
};

// The planes of one photo serve the next one of its thread: given back to the system, their pages would be
// mapped and cleared for each, a seventh of the time that decoding takes.
class KeptBlocks {
 public:
  KeptBlocks() = default;
  KeptBlocks(const KeptBlocks&) = delete;
  KeptBlocks& operator=(const KeptBlocks&) = delete;
  ~KeptBlocks() {
    for (Header* block : blocks_) std::free(block);
    gone_ = true;
  }

  Header* take(size_t bytes) {
    for (Header*& block : blocks_)
      if (block && block->room >= bytes && block->room / 2 <= bytes) return std::exchange(block, nullptr);
    return nullptr;
  }
  // In place of the oldest.
  void keep(Header* block) { std::free(std::exchange(blocks_[next_++ % places], block)); }

  static bool keeps(size_t room) { return !gone_ && room >= least && room <= most; }
  static KeptBlocks& own() {
    thread_local KeptBlocks blocks;
    return blocks;
  }

 private:
  static constexpr size_t places = 8, least = size_t(1) << 15, most = size_t(1) << 21;
  static_assert(places * most == retort::kept_by_decoding);
  static thread_local bool gone_;  // can still be asked when the thread's blocks are no more

  Header* blocks_[places] = {};
  size_t next_ = 0;
};
thread_local bool KeptBlocks::gone_ = false;

// Zeroed: what a damaged picture leaves out is the same in every run.
void* limited_malloc(size_t bytes) {
  if (bytes > size_t(retort::max_block)) return nullptr;
  if (Header* kept = KeptBlocks::keeps(bytes) ? KeptBlocks::own().take(bytes) : nullptr)
    return std::memset(kept + 1, 0, bytes);
  auto* block = static_cast<Header*>(std::calloc(sizeof(Header) + bytes, 1));
  if (!block) return nullptr;
  block->room = bytes;
  return block + 1;
}

void limited_free(void* bytes) {
  if (!bytes) return;
  Header* const block = static_cast<Header*>(bytes) - 1;
  if (KeptBlocks::keeps(block->room))
    KeptBlocks::own().keep(block);
  else
    std::free(block);
}

void* limited_realloc(void* bytes, size_t wanted) {
  void* larger = limited_malloc(wanted);
  if (!larger || !bytes) return larger;
  std::memcpy(larger, bytes, std::min(wanted, (static_cast<Header*>(bytes) - 1)->room));
  limited_free(bytes);
  return larger;
}

}  // namespace

#define STBI_MALLOC(bytes) limited_malloc(bytes)
#define STBI_REALLOC(block, bytes) limited_realloc(block, bytes)
#define STBI_FREE(block) limited_free(block)
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 16384
#define STB_IMAGE_IMPLEMENTATION
#include <retort_stb_image.h>
