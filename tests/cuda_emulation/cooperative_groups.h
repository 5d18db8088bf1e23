// Stands for the toolkit's header where device code is compiled for the emulated device.
#pragma once
#include "tests/cuda_emulation/device.h"

namespace cooperative_groups {

struct grid_group {
  void sync() const { retort::emulation::wait_for_grid(); }
};
inline grid_group this_grid() {
  return {};
}

}  // namespace cooperative_groups
