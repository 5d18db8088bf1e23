// What a method may need to know of a run before its first step, to make what it learns and remembers.
#pragma once
#include <cstdint>
#include <vector>

#include "models/model.h"

namespace retort {

// Of one image, as in Outputs: pooled [1,C], the maps [1,H,W,C]. Of a detector only stages, its pyramid.
struct FeatureShapes {
  Shape pooled, map;
  std::vector<Shape> stages, pre_relu;
};

// What is learned of a batch norm, per channel.
struct NormNumbers {
  std::vector<double> gamma, beta;
};

// Of Model::stage_norms().
std::vector<NormNumbers> stage_norms(const Model& model, Device& device);

// Runs the model once, on a black image.
FeatureShapes feature_shapes(Model& model, Device& device);

struct MethodContext {
  MethodContext() = default;
  explicit MethodContext(DType arithmetic) : type(arithmetic) {}

  DType type = DType::f32;                 // of logits, features and what the method learns
  uint64_t seed = 1;                       // of the run
  int epochs = 0;                          // of the run; 0: not known
  FeatureShapes student, teacher;          // for a method that reads features
  std::vector<NormNumbers> teacher_norms;  // one for each of teacher.pre_relu, or none
  std::vector<int32_t> labels;             // of the image set, by index
  std::vector<int32_t> samples;            // which of its images are trained on, ascending
  // C,C, for a method that reads it: how alike the teacher's features of two classes are, 0 to 1.
  std::vector<double> class_similarity;
};

}  // namespace retort
