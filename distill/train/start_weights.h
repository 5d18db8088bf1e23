// The weights that a run starts from, instead of random ones.
#pragma once
#include "distill/settings/settings.h"
#include "models/weights.h"

namespace retort {

// Loads them into the initialised student: all, or with settings.init_head "fresh" all but the last layer (of
// a detector: scores and boxes of its classes), which stays as it is. Of a detector also a backbone alone, of
// detectron2's, MSRA's or torchvision's ImageNet networks, whose names become ours in `init`. Returns a line
// for the user where something stayed. Fault::input, naming the file, if they do not fit.
std::string load_start(const RunSettings& settings, Weights& init, Model& student, Device& device);

}  // namespace retort
