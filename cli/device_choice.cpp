#include "cli/device_choice.h"

namespace retort {

DeviceChoice::DeviceChoice(Options& options) {
  options.text("--device", "NAME", "auto, portable, onednn, cuda", device_);
  options.text("--precision", "P", "fp32, tf32, bf16, fp16", precision_);
  options.integer("--threads", "CPU threads, 0: all", threads_, 0);
}

DeviceOptions DeviceChoice::options() const {
  const std::string device = resolved_device(device_);
  const Precision precision = precision_ == "auto" ? default_precision(device) : precision_named(precision_);
  check_precision(device, precision);
  return {.name = device, .threads = int(threads_), .precision = precision};
}

}  // namespace retort
