// StagingRing: uploads through a ring of fixed host slots. The caller's memory is free again on return, and
// no slot is written to while the device may still be reading it. Pure host logic: what copies and what waits
// is given.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

namespace retort {

// Fence: record(stream) marks the work enqueued so far, wait() blocks until the last mark has been passed.
template <class Fence, class Stream>
class StagingRing {
 public:
  // memory: slots * slot_bytes bytes that outlive the ring.
  StagingRing(char* memory, size_t slot_bytes, std::vector<Fence> fences)
      : memory_(memory),
        slot_bytes_(slot_bytes),
        fences_(std::move(fences)),
        in_flight_(fences_.size(), false) {}

  // Calls enqueue(offset, slot, bytes) for pieces of [host, host + bytes): slot holds the bytes from offset
  // on, and what enqueue puts on the stream reads it.
  template <class Enqueue>
  void upload(const void* host, size_t bytes, Stream stream, const Enqueue& enqueue) {
    for (size_t offset = 0; offset < bytes; offset += slot_bytes_) {
      const size_t count = std::min(slot_bytes_, bytes - offset);
      if (in_flight_[next_]) fences_[next_].wait();
      char* slot = memory_ + next_ * slot_bytes_;
      std::memcpy(slot, static_cast<const char*>(host) + offset, count);
      enqueue(offset, slot, count);
      fences_[next_].record(stream);
      in_flight_[next_] = true;
      next_ = (next_ + 1) % fences_.size();
    }
  }

 private:
  char* memory_;
  size_t slot_bytes_;
  std::vector<Fence> fences_;
  std::vector<bool> in_flight_;
  size_t next_ = 0;
};

}  // namespace retort
