#include "engine/branch/branch.h"

namespace retort {

Branch::Branch(Device& device) : device_(device), apart_(device.backend().can_branch()), open_(apart_) {
  if (!apart_) return;
  check(!device.in_branch_, "Branch: a branch begins inside another");
  device.backend().begin_branch();
  device.in_branch_ = true;
}

Branch::~Branch() {
  try {
    end();
  } catch (...) {  // what unwinds the step is the error to tell
  }
}

void Branch::end() {
  if (!open_) return;
  open_ = device_.in_branch_ = false;
  device_.backend().end_branch();
}

void Branch::join() {
  end();
  if (apart_) device_.backend().join_branch();
}

}  // namespace retort
