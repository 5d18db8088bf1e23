// Models: named networks for images. A model returns named outputs; features only where they are asked for,
// since keeping them costs memory.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "layers/layers.h"

namespace retort {

struct Outputs {
  Var logits;  // N,classes
  // With features only. pooled: the classifier's input, N,C. map: what that is the mean of, N,H,W,C. stages:
  // outputs of the stem and of each stage. pre_relu: the stages' values before their last ReLU, from stage 1
  // on; empty where a model has none.
  Var pooled, map;
  std::vector<Var> stages, pre_relu;
};

class Model : public Module {
 public:
  // images: N,side,side,3, normalised; in 16 bits they may have padded_image_channels, zeros behind the
  // third. Other sides are computed too, if no map becomes smaller than a kernel.
  virtual Outputs forward(const Var& images, const Pass& pass, bool features = false) = 0;
  // forward() in the device's precision: the images are rounded to it, all outputs are f32 again.
  Outputs run(const Var& images, const Pass& pass, bool features = false);
  Var operator()(const Var& images, const Pass& pass) { return run(images, pass).logits; }

  // The last layer: of rows like `pooled` to logits. Null where a model has none of its own.
  virtual Linear* classifier() { return nullptr; }
  // What stands between the last stage and the classifier, which alone reads it; null where nothing does.
  virtual Module* head() { return nullptr; }
  // The batch norm of which each of pre_relu's values comes, before a residual is added; in the same order.
  virtual std::vector<const BatchNorm*> stage_norms() const { return {}; }

  std::string name;
  int64_t classes = 0;
  int64_t side = 0;  // of its images, height and width
};

struct ModelOptions {
  int64_t classes = 100;
  int64_t side = 0;  // of the images, pixels; 0: what the architecture was made for, see network_input.h
  DType type = DType::f32;
  // wrn_* only. mdistiller, whose numbers papers quote, applies the batch norms behind the three stages twice
  // in a training step, so that their running statistics move by 1 - 0.9^2 = 0.19 instead of 0.1.
  bool double_batch_norm = false;
};

// "BODY+DONOR" is a network that ends in another's classifier, see borrowed_classifier.h.
// Throws Error(Fault::usage) for an unknown name, with the nearest known one. Parameters are not initialised
// yet, see initialize().
std::unique_ptr<Model> make_model(const std::string& name, Device& device, const ModelOptions& options);

// Every name make_model knows.
std::vector<std::string> model_names();

}  // namespace retort
