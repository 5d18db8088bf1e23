// Device: a backend, its memory and its scalars. One per run; belongs to one thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/precision.h"
#include "engine/profile/profile.h"

namespace retort {

class ConvTuning;

// A value that may change between steps (learning rate, loss weight): it lives in device memory, so that a
// captured step can be replayed with another value.
struct Scalar {
  Tensor value;  // f64, one element
};

struct DeviceOptions {
  std::string name = "auto";              // auto | portable | onednn | cuda
  int threads = 0;                        // CPU threads, 0: as many as the CPU quota allows
  Precision precision = Precision::fp32;  // of images and convolutions
  bool capture = true;  // steps may be captured, where the backend can; false: every step is eager
  bool guard = false;   // margins around every block, for tests; see Arena
  // Not null: the algorithm of each convolution is measured when its shape is first met. On the CPU this
  // keeps the choices, for this device alone, and must outlive it. cuDNN's engines go to its folder of plans.
  ConvTuning* tuning = nullptr;
  // cuDNN's engines are measured; else, and with RETORT_CUDNN_TUNE=0, the first suitable one is taken.
  bool measures = true;
  std::string plans = {};      // of a run that goes on: see Backend::keep_plans(); empty: none
  Profile* profile = nullptr;  // notes every kernel; must outlive the device
};

class Device {
 public:
  // Throws Error(Fault::device) if the backend is not available here, Error(Fault::usage) for an unknown
  // name or a precision that the backend does not have: the CPU's have fp32 only, and tf32 is not taken for
  // it.
  static std::unique_ptr<Device> open(const DeviceOptions& options);

  explicit Device(std::unique_ptr<Backend> backend, bool guard = false,
                  Precision precision = Precision::fp32);

  Backend& backend() { return *backend_; }
  Precision precision() const { return precision_; }
  // Rewound at each step; what a pass makes lives here. In a branch of a step the branch's own, since blocks
  // that return are given out again at once, and what runs beside it may still use them.
  Arena& step_arena() { return in_branch_ ? branch_ : step_; }
  // Rewinds both.
  void begin_step();
  // Whether the addresses of the step that comes are those of the last one, and which they are; see Arena.
  bool steady() const { return step_.steady() && branch_.steady(); }
  int generation() const { return step_.generation() + branch_.generation(); }
  // Parameters, statistics, optimizer state, batches.
  Arena& persistent_arena() { return persistent_; }

  Array persistent(const Shape& shape, DType type, double value = 0);
  Scalar scalar(double value);
  void set(const Scalar& scalar, double value) { backend_->set_scalar(scalar.value, value); }
  double read(const Scalar& scalar);

 private:
  friend class Branch;
  std::unique_ptr<Backend> backend_;
  const Precision precision_;
  Arena step_, branch_, persistent_;
  bool in_branch_ = false;
  std::vector<Array> scalar_blocks_;  // scalars share blocks
  int scalars_in_last_block_ = 0;
};

// The backend that open() takes for a name: what "auto" means here, the name itself otherwise.
std::string resolved_device(const std::string& name);

// What a run computes in where nothing else is asked for: tf32 on cuda, fp32 elsewhere.
Precision default_precision(const std::string& device);

// Fault::usage where the backend of a resolved name does not compute in the precision.
void check_precision(const std::string& device, Precision precision);

// The names that open() knows here, best first, for messages.
std::vector<std::string> available_devices();

}  // namespace retort
