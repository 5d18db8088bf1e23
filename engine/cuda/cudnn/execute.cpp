#include "engine/cuda/cudnn/execute.h"

#include "engine/base/check.h"

namespace retort {

void execute_cudnn_plan(const CudnnPlan& plan, cudnnHandle_t handle, const std::vector<int64_t>& ids,
                        const std::vector<void*>& pointers, void* workspace, const CudnnProblem& problem) {
  try {
    CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(pointers.size()),
             pointers.data());
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    pack.finalize("variant pack");
    cudnn_check(CudnnLibrary::get().execute(handle, plan.raw(), pack.raw()), "cudnnBackendExecute");
  } catch (const CudnnRefusal& refusal) {
    fail(Fault::internal, "cuDNN: ", problem, ": ", refusal.why);
  }
}

}  // namespace retort
