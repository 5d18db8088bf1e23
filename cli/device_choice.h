// Where a command that runs a trained network computes: --device, --precision, --threads.
#pragma once
#include <cstdint>
#include <string>

#include "cli/options.h"
#include "engine/device.h"

namespace retort {

class DeviceChoice {
 public:
  // Declares the options, which it has to outlive.
  explicit DeviceChoice(Options& options);

  // Of what was given; a precision that was not is the device's own, as in training. Error(Fault::usage) for
  // an unknown device and for a precision that it does not compute in.
  DeviceOptions options() const;

 private:
  std::string device_ = "auto", precision_ = "auto";
  int64_t threads_ = 0;
};

// More threads than processors that this process may use (affinity, quota) only get in each other's way: a
// note. Error(Fault::usage) for more than four times as many. 0: as many as there are.
void check_threads(int64_t threads);

}  // namespace retort
