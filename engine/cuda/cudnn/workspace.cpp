#include "engine/cuda/cudnn/workspace.h"

#include <algorithm>

#include "engine/base/check.h"

namespace retort {

CudnnWorkspace::~CudnnWorkspace() {
  for (const Piece& block : blocks_) memory_.release(block.data, block.bytes);
}

void* CudnnWorkspace::reserve(size_t bytes) {
  const size_t have = largest();
  if (bytes > have) {
    // More than asked for, so that there are few blocks.
    constexpr size_t step = size_t(1) << 20;
    const size_t wanted = (std::max(bytes, have + std::min(have, 64 * step)) + step - 1) / step * step;
    blocks_.reserve(blocks_.size() + 1);
    blocks_.push_back({memory_.allocate(wanted), wanted});
  }
  return blocks_.empty() ? nullptr : blocks_.back().data;
}

size_t CudnnWorkspace::bytes() const {
  size_t sum = 0;
  for (const Piece& block : blocks_) sum += block.bytes;
  return sum;
}

}  // namespace retort
