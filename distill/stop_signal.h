// Ctrl-C and kill: the first asks the run to save and stop, the second ends it at once.
#pragma once

namespace retort {

// Catches SIGINT and SIGTERM while it lives; what was set before comes back afterwards. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // The signal that came (SIGINT, SIGTERM), 0 if none did. Cheap: ask every step.
  int received() const;

  // With which the program ends after it: 130 or 143.
  int exit_code() const { return 128 + received(); }
};

}  // namespace retort
