// Weights as a user names them: a file, the folder of a run, or its best ones.
#pragma once
#include <filesystem>
#include <string>

#include "models/weights.h"

namespace retort {

// What a spec names: RUN or FILE, and whether ":best" stands behind it.
struct WeightsSpec {
  std::string path;
  bool best = false;
};
WeightsSpec weights_spec(const std::string& spec);

// spec: a .safetensors file, a PyTorch checkpoint, a run folder (its last weights), or RUN:best. Fault::input
// if there is no such file, or no run in the folder, or the run has no weights yet, or they are not of that
// run (see check_of_run).
std::filesystem::path weights_path(const std::string& spec);

// The weights in it, see open_weights(); their source is `spec`.
Weights read_weights(const std::string& spec, const ReadWeights& options = {});

}  // namespace retort
