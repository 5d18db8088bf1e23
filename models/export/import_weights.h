// Weights of other programs as a file of ours.
#pragma once
#include <filesystem>
#include <string>

#include "models/weights.h"

namespace retort {

struct ImportOptions {
  std::string model;
  ReadWeights read;
  bool strict = true;  // false: what fits is taken, the rest starts as initialize() makes it
  std::string mean, deviation;  // how the network sees images, see set_channel_numbers()
};

struct Imported {
  std::string model;
  int64_t classes = 0;
  int64_t parameters = 0;
  std::vector<std::string> notes;
  StateFit fit;  // empty lists if strict
};

// Reads the file `source` (see open_weights), checks that it fits the model, and writes `target` as f32
// safetensors. Fault::input, nothing written, if it is damaged, does not fit, or holds numbers that are not
// finite.
Imported import_weights(const std::string& source, const std::filesystem::path& target,
                        const ImportOptions& options);

}  // namespace retort
