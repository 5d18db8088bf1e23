// Moves bytes between the processes of a run.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "engine/tensor.h"

namespace retort {

// Bytes to or from another process.
struct Message {
  int rank;
  void* data;
  size_t bytes;
};

// Ranks are 0 to size() - 1, all of one run.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string description() const = 0;  // "Open MPI 4.1.4", for env.json

  // Sends and receives all of these, and returns when they are done. From one rank to another messages arrive
  // in the order in which they were sent, and both sides name the same sizes. Throws Error(Fault::lost),
  // naming the rank, if one takes longer than the time limit.
  virtual void exchange(const std::vector<Message>& sends, const std::vector<Message>& receives) = 0;

  // values (f32 or f64, in host memory) becomes the sum over all ranks, in an order of the library's own; the
  // same bits on all. False, and nothing is done, where no library does that. Throws as exchange() does.
  virtual bool all_sum(const Tensor& values) = 0;

  // Seconds that a rank may be silent.
  void set_time_limit(double seconds) { limit_ = seconds; }
  double time_limit() const { return limit_; }

  // Ends all processes of the run, where that can be done from here; this one with `code`.
  virtual void abort(int code) noexcept = 0;

 private:
  double limit_ = 300;
};

}  // namespace retort
