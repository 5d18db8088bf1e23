// Where the time of steps goes: a backend around another one that notes every kernel it passes on.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/profile/kernel_call.h"

namespace retort {

struct ProfiledCall : KernelCall {
  double start = 0, seconds = 0;  // start: since the profile began
};

class Profile {
 public:
  // Kernels are noted between begin() and end(), which may be called again.
  void begin();
  void end();
  bool recording() const { return recording_; }

  void add(const ProfiledCall& call) { calls_.push_back(call); }
  void clear();
  const std::vector<ProfiledCall>& calls() const { return calls_; }
  double now() const;                          // since the first begin()
  double seconds() const { return seconds_; }  // between begin() and end(), in all

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<ProfiledCall> calls_;
  Clock::time_point first_, begun_;
  bool started_ = false, recording_ = false;
  double seconds_ = 0;
};

// The same backend; while profile records, it waits for the device after every kernel and captures no steps.
// profile must outlive it.
std::unique_ptr<Backend> make_profiled(std::unique_ptr<Backend> backend, Profile& profile);

}  // namespace retort
