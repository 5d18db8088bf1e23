// Trained weights in the formats of other programs.
#pragma once
#include <filesystem>
#include <string>

#include "models/weights.h"

namespace retort {

struct Exported {
  int64_t bytes = 0;
  double largest_difference = 0;  // if verified: of the logits, relative to the largest
};

// ONNX: batch norms folded, symbolic batch, images N,3,H,W in, logits out; what the weights' file says (mean,
// std, data, epoch, top1), architecture and classes become metadata. version: of the program. verify: reads
// the file again, compares all that is in it, and runs it by ONNX's definitions on images of noise;
// Fault::verification if a logit differs by more than 1e-4 of the largest.
Exported export_onnx(const Weights& weights, Model& model, Device& device,
                     const std::filesystem::path& target, const std::string& version, bool verify);

// safetensors with PyTorch's names and shapes, without what a checkpoint has beside the model. verify: reads
// the file again and compares every tensor; Fault::verification.
Exported export_safetensors(const Weights& weights, Model& model, Device& device,
                            const std::filesystem::path& target, bool verify);

}  // namespace retort
