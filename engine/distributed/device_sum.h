// Sums over the processes of a run in the memory of a device.
#pragma once
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace retort {

// Enqueued like the device's other work. All ranks call the same functions in the same order, with the same
// sizes.
class DeviceSum {
 public:
  virtual ~DeviceSum() = default;
  virtual std::string description() const = 0;  // "NCCL 2.28.3", for the log

  // values (f32, of the device) becomes the sum over the ranks that give something, as Communicator::sum
  // says. It runs beside what is enqueued behind it, which does not touch these values before the join().
  virtual void begin(const Tensor& values, const std::vector<bool>& gives) = 0;
  virtual void join() = 0;
};

}  // namespace retort
