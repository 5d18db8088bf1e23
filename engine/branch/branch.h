// Branch: a part of a step beside the rest of it.
#pragma once
#include "engine/device.h"

namespace retort {

// A part of a step that may run beside what is enqueued behind it until join(): a teacher's forward pass
// beside the student's. What it made may be read after the join. Where the backend has no branches, all is in
// order.
class Branch {
 public:
  explicit Branch(Device& device);
  ~Branch();  // ends it, where an error unwinds the step
  Branch(const Branch&) = delete;
  Branch& operator=(const Branch&) = delete;
  void end();
  void join();

 private:
  Device& device_;
  const bool apart_;
  bool open_;
};

}  // namespace retort
