// The words of one (seed, purpose, epoch, sample), one draw after another; and what boxes draw them for.
#pragma once
#include "engine/random.h"

namespace retort {

// Numbers 20 to 29 of Purpose. Never renumber: runs would not repeat.
namespace box_purpose {
inline constexpr Purpose anchor_sample{20}, roi_sample{21}, scenes_train{22}, scenes_test{23}, view{24};
}

class RandomWords {
 public:
  RandomWords(uint64_t seed, Purpose purpose, uint32_t epoch, uint32_t sample)
      : seed_(seed), purpose_(purpose), epoch_(epoch), sample_(sample) {}

  uint32_t next() {
    if (used_ == 4) {
      words_ = random4(seed_, purpose_, epoch_, sample_, draw_++);
      used_ = 0;
    }
    return words_.v[used_++];
  }

 private:
  uint64_t seed_;
  Purpose purpose_;
  uint32_t epoch_, sample_;
  uint32_t draw_ = 0;
  Random4 words_{};
  int used_ = 4;
};

}  // namespace retort
