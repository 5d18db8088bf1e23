// A parameter as the optimiser is given it.
#pragma once
#include <cstdint>
#include <string>

#include "engine/autograd.h"

namespace retort {

struct NamedParameter {
  std::string name;
  Parameter* parameter;
  // Read in 16 bits only: convolution weights of a network on a device that computes in them, see
  // in_16_bits(). The optimiser keeps a copy in 16 bits, which it writes with each step, and takes the
  // gradient in 16 bits.
  bool narrow = false;
  int64_t channels = 0;  // of that copy, where it has zeros behind the weights' channels; 0: as many as they
  bool norm = false;     // a scale or shift of a layer that has running statistics
};

}  // namespace retort
