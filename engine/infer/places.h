// Where a network's values lie in its working memory: first fit by address, each from the node that writes it
// to the last one that reads it.
#pragma once
#include <stdint.h>

namespace retort::infer {

class Places {
 public:
  // Floats; -1 if too many values live at once.
  int64_t take(uint64_t floats, uint32_t last_use) {
    if (live_ == most_live) return -1;
    floats = (floats + 15) / 16 * 16;
    uint64_t at = 0;
    int i = 0;
    for (; i < live_ && at + floats > blocks_[i].first; ++i) at = blocks_[i].first + blocks_[i].size;
    for (int k = live_; k > i; --k) blocks_[k] = blocks_[k - 1];
    blocks_[i] = {at, floats, last_use};
    ++live_;
    if (at + floats > peak_) peak_ = at + floats;
    return int64_t(at);
  }
  // After node `index`.
  void release(uint32_t index) {
    int kept = 0;
    for (int i = 0; i < live_; ++i)
      if (blocks_[i].last_use > index) blocks_[kept++] = blocks_[i];
    live_ = kept;
  }
  uint64_t peak() const { return peak_; }

 private:
  static constexpr int most_live = 64;
  struct Block {
    uint64_t first, size;  // in order of first
    uint32_t last_use;
  };
  Block blocks_[most_live];
  int live_ = 0;
  uint64_t peak_ = 0;
};

}  // namespace retort::infer
