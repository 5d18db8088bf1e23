// The oneDNN backend: Portable with oneDNN's convolutions and matrix products in f32.
#pragma once
#include <memory>

#include "engine/backend.h"

namespace retort {

class ConvTuning;

// Null where the program was built without oneDNN, or where its OpenMP library cannot be found to hold it to
// one thread. threads and tuning as for Portable.
std::unique_ptr<Backend> make_onednn(int threads, ConvTuning* tuning = nullptr);

}  // namespace retort
