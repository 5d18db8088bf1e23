// The one scratch memory of the cuDNN layer, shared by all of its calls: they run one after another on one
// stream.
#pragma once
#include <vector>

#include "engine/arena.h"

namespace retort {

class CudnnWorkspace {
 public:
  explicit CudnnWorkspace(Memory& memory) : memory_(memory) {}
  ~CudnnWorkspace();
  CudnnWorkspace(const CudnnWorkspace&) = delete;
  CudnnWorkspace& operator=(const CudnnWorkspace&) = delete;

  // At least that many bytes, aligned to Arena::alignment; valid while this object lives, what is in it until
  // the next call. A block that became too small is kept: captured graphs may use it.
  void* reserve(size_t bytes);

  size_t largest() const {
    return blocks_.empty() ? 0 : blocks_.back().bytes;
  }                      // that reserve() has without allocating
  size_t bytes() const;  // of all blocks
  int blocks() const { return int(blocks_.size()); }

 private:
  struct Piece {
    void* data;
    size_t bytes;
  };
  Memory& memory_;
  std::vector<Piece> blocks_;  // the last one is the one in use
};

}  // namespace retort
