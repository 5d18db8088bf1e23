// Networks as `retort export` wrote them, .retort and .onnx, run as those who use them run them: what fewer
// bits cost shows here.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "datasets/augment/augment.h"
#include "distill/evaluate/evaluate.h"
#include "models/weights.h"

namespace retort {

class ExportedNetwork {
 public:
  // nullptr if the file is of another kind. Fault::input if it is damaged, or an ONNX file of another
  // program. threads: 0 is all that the process may use.
  static std::unique_ptr<ExportedNetwork> open(const std::filesystem::path& path, int threads);
  virtual ~ExportedNetwork() = default;

  // What the file says of itself, without tensors.
  const Weights& weights() const { return weights_; }
  int64_t side() const { return side_; }
  int64_t classes() const { return weights_.classes; }
  const std::string& name() const { return weights_.architecture; }
  // "resnet20, weights of 8 bits, by the embeddable library"
  const std::string& description() const { return description_; }

  // count x classes of images N,H,W,C, normalised. Fault::diverged, naming the image, if one is not finite.
  std::vector<float> logits(std::span<const float> images, int64_t count);

  // As Evaluator::run(). Fault::input if the images have another size or more classes than the network.
  Evaluation evaluate(const ImageSet& images, const Normalize& numbers, bool per_class,
                      const std::function<void(int64_t done, int64_t total)>& progress);

 protected:
  virtual std::vector<float> run(std::span<const float> images, int64_t count) = 0;

  Weights weights_;
  int64_t side_ = 0;
  std::string description_;
};

}  // namespace retort
