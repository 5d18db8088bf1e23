// Captures of a process, and what must not happen during one: to wait for the whole device, as the libraries do
// where their handles are made and destroyed, is an error for every stream that is captured, in any thread
// (CUDA Programming Guide, "Prohibited and Unhandled Operations").
#pragma once
#include <shared_mutex>

namespace retort {

// Shared by those who capture, from beginning to end; exclusive for who may wait for the device.
inline std::shared_mutex& capture_turn() {
  static std::shared_mutex turn;
  return turn;
}

}  // namespace retort
