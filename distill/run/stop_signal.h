// Ctrl-C, kill and a terminal that closes: the first asks the run to save and stop, the second ends it at
// once.
#pragma once

namespace retort {

// Catches SIGINT, SIGTERM, SIGUSR1 (which launchers pass on) and, unless it was ignored (nohup), SIGHUP while
// it lives, and ignores SIGPIPE: who reads the progress (tee, less) may go, and the run must not. What was
// set before comes back afterwards. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // The signal that came (SIGINT, SIGTERM, SIGHUP, SIGUSR1), 0 if none did. Cheap: ask every step.
  int received() const;

  // Another process of the run got it.
  void receive(int signal) const;

  // With which the program ends after it: 130, 143, 129 or 138.
  int exit_code() const { return 128 + received(); }
};

}  // namespace retort
