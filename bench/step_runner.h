// One training step, distillation step, evaluation pass or loss on a fixed random batch: what benchmarks
// repeat.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "distill/methods/registry.h"
#include "distill/teacher/stored_teacher.h"
#include "distill/train/step.h"
#include "engine/cpu/peak.h"
#include "engine/step_graph.h"
#include "models/sliced_forward.h"

namespace retort {

struct StepOptions {
  std::string model = "resnet20";
  std::string teacher;  // empty: none
  std::string method = "ce";
  std::string device = "auto";
  int threads = 0;
  int64_t batch = 64, classes = 100;
  std::string precision = "fp32";
  bool eager = false;  // not captured, where the device could
  bool eval = false;   // only the forward pass, batch norms folded
  bool loss = false;   // only the method's distillation terms and their gradient, on random logits
  bool whole = false;  // evaluation never in slices of the batch
  bool table = false;  // the teacher's logits come from a table on disk, which has them
  bool dot = false;    // the optimiser keeps a momentum each for the labels' and the teacher's gradient
};

// What one step needs at least: FLOPs as ProfiledCall counts them, bytes of operands, kernels.
struct StepWork {
  double flops = 0, bytes = 0;
  size_t kernels = 0;
  double floor = 0;  // seconds, if every kernel takes the time that the peak allows
};

class StepRunner {
 public:
  explicit StepRunner(const StepOptions& options);
  ~StepRunner();
  void run();  // one step, waited for
  // So many steps, waited for at the end: as a run has them, without 15 to 20 us of waiting after each.
  void run_chain(int steps);
  // Empty, or why the table of the teacher's logits is not used though it was asked for.
  const std::string& table_refused() const { return table_refused_; }

  // Runs one step and notes its kernels; valid until the next call.
  const Profile& profiled_step();
  // Of one step, which is run.
  StepWork work(const Peak& peak);
  Device& device() { return *device_; }

 private:
  void enqueue();
  void prepare_nets();
  void prepare_logits();
  void prepare_table();

  StepOptions options_;
  Profile profile_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> student_, teacher_;
  std::unique_ptr<SlicedForward> evaluate_;
  std::unique_ptr<Distiller> distiller_;
  std::unique_ptr<Sgd> optimizer_;
  std::unique_ptr<TrainingStep> step_;  // as the trainer runs it
  std::unique_ptr<StepGraph> graph_;    // of what is no training step: evaluation, a loss alone
  Array images_, labels_, student_logits_, teacher_logits_;
  Array strong_, numbers_;  // second views; which image of a set each one is

  std::filesystem::path folder_;  // of the table
  ImageSet set_;
  std::vector<float> host_images_;
  std::vector<int32_t> host_labels_, indices_, views_;
  std::unique_ptr<StoredTeacher> table_;
  std::string table_refused_;
};

}  // namespace retort
