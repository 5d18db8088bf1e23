// Ctrl-C, kill and a terminal that closes: the first asks the run to save and stop, the second ends it at
// once.
#pragma once

namespace retort {

// Catches SIGINT, SIGTERM and, unless it was ignored (nohup), SIGHUP while it lives, and ignores SIGPIPE: who
// reads the progress (tee, less) may go, and the run must not. What was set before comes back afterwards. One
// at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // The signal that came (SIGINT, SIGTERM, SIGHUP), 0 if none did. Cheap: ask every step.
  int received() const;

  // With which the program ends after it: 130, 143 or 129.
  int exit_code() const { return 128 + received(); }
};

}  // namespace retort
