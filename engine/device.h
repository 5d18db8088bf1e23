// Device: a backend, its memory and its scalars. One per run; belongs to one thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/profile.h"

namespace retort {

// A value that may change between steps (learning rate, loss weight): it lives in device memory, so that a
// captured step can be replayed with another value.
struct Scalar {
  Tensor value;  // f64, one element
};

struct DeviceOptions {
  std::string name = "auto";   // auto | portable | onednn | cuda
  int threads = 0;             // CPU threads, 0: as many as the CPU quota allows
  bool guard = false;          // margins around every block, for tests; see Arena
  Profile* profile = nullptr;  // notes every kernel; must outlive the device
};

class Device {
 public:
  // Throws Error(Fault::device) if the backend is not available here, Error(Fault::usage) for an unknown
  // name.
  static std::unique_ptr<Device> open(const DeviceOptions& options);

  explicit Device(std::unique_ptr<Backend> backend, bool guard = false);

  Backend& backend() { return *backend_; }
  // Rewound at each step; what a pass makes lives here.
  Arena& step_arena() { return step_; }
  // Parameters, statistics, optimizer state, batches.
  Arena& persistent_arena() { return persistent_; }

  Array persistent(const Shape& shape, DType type, double value = 0);
  Scalar scalar(double value);
  void set(const Scalar& scalar, double value) { backend_->set_scalar(scalar.value, value); }
  double read(const Scalar& scalar);

 private:
  std::unique_ptr<Backend> backend_;
  Arena step_, persistent_;
  std::vector<Array> scalar_blocks_;  // scalars share blocks
  int scalars_in_last_block_ = 0;
};

// The names that open() knows here, best first, for messages.
std::vector<std::string> available_devices();

}  // namespace retort
