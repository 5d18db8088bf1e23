// Stands for the CUDA backend where it is not built.
#include "engine/base/check.h"
#include "engine/cuda/cuda.h"

namespace retort {

std::string cuda_missing() {
  return "this program was built without CUDA";
}

void share_gpus(int, int) {}

std::unique_ptr<Backend> make_cuda(const CudaOptions&) {
  fail(Fault::device, "device cuda: ", cuda_missing(), "; use --device auto");
}

std::shared_ptr<DeviceSum> sum_over_gpus(Backend&, Communicator&) {
  return nullptr;
}

}  // namespace retort
