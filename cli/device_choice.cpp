#include "cli/device_choice.h"

#include "cli/output.h"
#include "engine/cpu/thread_pool.h"

namespace retort {

DeviceChoice::DeviceChoice(Options& options) {
  options.text("--device", "NAME", "auto, portable, onednn, cuda", device_);
  options.text("--precision", "P", "fp32, tf32, bf16, fp16", precision_);
  options.integer("--threads", "CPU threads, 0: all", threads_, 0);
}

void check_threads(int64_t threads) {
  const int64_t processors = cpu_quota();
  check(threads <= 4 * processors, Fault::usage, "--threads ", threads, ": this process may use ", processors,
        processors == 1 ? " processor" : " processors",
        ", expected at most four times as many, or 0 for all");
  if (threads > processors)
    print_error(text("note: ", threads, " threads on ", processors,
                     processors == 1 ? " processor" : " processors", " get in each other's way"));
}

DeviceOptions DeviceChoice::options() const {
  check_threads(threads_);
  const std::string device = resolved_device(device_);
  const Precision precision = precision_ == "auto" ? default_precision(device) : precision_named(precision_);
  check_precision(device, precision);
  return {.name = device, .threads = int(threads_), .precision = precision};
}

}  // namespace retort
