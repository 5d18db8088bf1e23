// What all processes of a run do after the same step: stop, save, show.
#pragma once
#include <chrono>

#include "distill/run/stop_signal.h"
#include "engine/distributed/communicator.h"

namespace retort {

class Control {
 public:
  // world: null for one process.
  Control(Communicator* world, const StopSignal& stop) : world_(world), stop_(stop) {}

  struct Words {
    bool asked = false;  // the processes spoke to each other after this step
    bool stops = false;
    bool saves = false;  // as the first process wants it
  };
  // After each step. They speak at every c-th, about every third of a second by the first one's clock.
  Words after_step(bool wants_save);
  // In any case. stops: this process cannot go on.
  Words ask(bool wants_save = false, bool stops = false);

 private:
  Communicator* world_;
  const StopSignal& stop_;
  int64_t step_ = 0, next_ = 1, every_ = 1;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

}  // namespace retort
