// The weights that a run starts from, instead of random ones.
#pragma once
#include "distill/settings/settings.h"
#include "models/weights.h"

namespace retort {

// Loads them into the initialised student: all, or with settings.init_head "fresh" all but the last layer,
// which stays as it is. Returns a line for the user where that was so. Fault::input, naming the file, if they
// do not fit.
std::string load_start(const RunSettings& settings, const Weights& init, Model& student, Device& device);

}  // namespace retort
