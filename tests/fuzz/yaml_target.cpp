// Configs of mdistiller.
#include "distill/mdistiller/config.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_yaml(Bytes bytes) {
  static MemoryFile place;
  translate_mdistiller_config(place.holding(bytes));
}

}  // namespace retort::fuzz
