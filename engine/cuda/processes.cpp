// One of several processes of a run.
#include "engine/cuda/cuda_backend.h"
#include "engine/cuda/nccl_sum.h"

namespace retort {

std::shared_ptr<DeviceSum> Cuda::sum_over(Communicator& world) {
  forbid_in_capture("processes meet");
  if (!sum_) sum_ = std::make_shared<NcclSum>(world, *this, main_.stream.get());
  return sum_;
}

void Cuda::wait_for_processes(const std::function<cudaError_t()>& ask) const {
  if (sum_ && !sum_->wait(ask)) sum_->fail_lost();
}

std::shared_ptr<DeviceSum> sum_over_gpus(Backend& backend, Communicator& world) {
  auto* const cuda = dynamic_cast<Cuda*>(&backend);
  return cuda ? cuda->sum_over(world) : nullptr;
}

}  // namespace retort
