// DeviceSum over NCCL, on a stream beside the backend's.
#pragma once
#include <functional>

#include "engine/cuda/handles.h"
#include "engine/cuda/nccl.h"
#include "engine/distributed/communicator.h"
#include "engine/distributed/device_sum.h"

namespace retort {

class NcclSum final : public DeviceSum {
 public:
  // Waits for all ranks, which agree on what is wrong (Fault::device). What is enqueued on `stream` before
  // begin() is done when a sum starts; what is behind join() waits for it.
  NcclSum(Communicator& world, Memory& memory, cudaStream_t stream);

  std::string description() const override { return nccl_->description(); }
  void begin(const Tensor& values, const std::vector<bool>& gives) override;
  void join() override;

  // Waits while the answer is cudaErrorNotReady. False if a rank is lost, or longer silent than the
  // transport's limit: then what is enqueued has been ended.
  bool wait(const std::function<cudaError_t()>& ask) noexcept;
  // Throws Error(Fault::lost) that names who is lost, where the transport knows.
  [[noreturn]] void fail_lost();

 private:
  void in_order(size_t level, float* values, int64_t count, const std::vector<bool>& gives);

  Communicator& world_;
  const int rank_, size_;
  const int64_t bucket_;  // numbers that are summed at once
  const bool ordered_;
  const cudaStream_t main_;
  CudaStream stream_;
  CudaFence fork_, end_;
  bool open_ = false;
  std::unique_ptr<Nccl> nccl_;
  std::unique_ptr<DeviceMemory> slices_;  // of a level's ranks, one behind the other
};

}  // namespace retort
