// A model's layers with their output shapes, parameters and multiply-adds.
#pragma once
#include <string>
#include <vector>

#include "models/model.h"

namespace retort {

struct LayerSummary {
  std::string name;  // "layer1.0.conv1"
  std::string kind;  // "conv 3x3 /2"
  Shape output;      // of one image: H,W,C, or C
  int64_t parameters = 0;
  int64_t macs = 0;  // multiply-adds of convolutions and linear layers
};

struct ModelSummary {
  std::vector<LayerSummary> layers;  // in the order in which a pass calls them
  int64_t parameters = 0;            // without buffers
  int64_t macs = 0;                  // of one image
};

// From a pass over one image, of the model's side, or of the shape 1,H,W,3 given.
ModelSummary summarize(Model& model, Device& device);
ModelSummary summarize(Model& model, Device& device, const Shape& input);

}  // namespace retort
