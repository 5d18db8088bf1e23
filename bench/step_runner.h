// One training step, distillation step or evaluation pass on a fixed random batch: what benchmarks repeat.
#pragma once
#include <memory>
#include <string>

#include "distill/methods.h"
#include "engine/step_graph.h"
#include "models/model.h"

namespace retort {

struct StepOptions {
  std::string model = "resnet20";
  std::string teacher;  // empty: none
  std::string method = "ce";
  std::string device = "auto";
  int threads = 0;
  int64_t batch = 64, classes = 100;
  bool eval = false;  // only the forward pass, batch norms folded
};

class StepRunner {
 public:
  explicit StepRunner(const StepOptions& options);
  void run();  // one step, waited for

  // Multiply-adds of convolutions and linear layers: forward, input and weight gradient of the student,
  // forward of the teacher.
  double flops() const { return 2.0 * double(macs_) * double(options_.batch); }
  Device& device() { return *device_; }

 private:
  StepOptions options_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> student_, teacher_;
  std::unique_ptr<Distiller> distiller_;
  std::unique_ptr<Sgd> optimizer_;
  std::unique_ptr<StepGraph> graph_;
  Array images_, labels_;
  int64_t macs_ = 0;  // per image
};

}  // namespace retort
