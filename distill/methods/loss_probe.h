// A method's distillation terms on anybody's logits: for checking and for teaching.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "distill/methods/registry.h"

namespace retort {

// Logits on the host, row-major, samples x classes.
struct ProbeInput {
  int64_t samples = 0;
  int64_t classes = 0;
  std::vector<double> student;
  std::vector<double> teacher;
  std::vector<int64_t> labels = {};         // may be empty for a method that reads none
  std::vector<double> strong_student = {};  // of a second view; both empty, or both given
  std::vector<double> strong_teacher = {};
  std::vector<double> class_similarity = {};  // classes x classes, for a method that reads it
  DType arithmetic = DType::f64;              // or f32; f64 needs the portable device
};

struct ProbeResult {
  double loss = 0;  // the sum of the terms
  std::vector<std::pair<std::string, double>> terms;
  std::vector<double> gradient;         // of loss with respect to the student's logits, samples x classes
  std::vector<double> strong_gradient;  // the same of the second view, empty where there is none
  std::vector<std::pair<std::string, std::vector<double>>>
      learned;  // gradients of what the method learns itself
};

// The terms without cross-entropy and warm-up (method ce: its cross-entropy). Rewinds the device's step
// arena. Error(Fault::input) if sizes do not fit or a label is outside [0, classes); Error(Fault::usage) if
// the method compares features, reads what is not given or one view where two are, or a setting does not fit
// the number of classes.
ProbeResult probe_loss(const MethodSettings& settings, Device& device, const ProbeInput& input);

// Fault::usage if the method cannot work on that many classes: more stages than classes where somebody set
// them (see fit_stages), and the like.
void check_method(const MethodSettings& method, int64_t classes);

}  // namespace retort
