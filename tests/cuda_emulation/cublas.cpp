// In the place of cuBLAS, opened by the name that the backend asks for: the functions that it loads, as BLAS
// defines them, column by column.
#include <cublas_v2.h>

#include <algorithm>
#include <cstdint>
#include <map>

#include "engine/base/check.h"
#include "engine/cuda/dynamic_library.h"
#include "tests/cuda_emulation/libraries.h"
#include "tests/cuda_emulation/stream.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
};

namespace retort {

namespace {

cublasStatus_t create(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t get_version(cublasHandle_t, int* version) {
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_stream(cublasHandle_t handle, cudaStream_t stream) {
  *handle = {stream, nullptr};  // the workspace goes with it
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_workspace(cublasHandle_t handle, void* workspace, size_t) {
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
  handle->workspace = workspace;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_math_mode(cublasHandle_t, cublasMath_t) {
  return CUBLAS_STATUS_SUCCESS;
}
const char* status_string(cublasStatus_t) {
  return "emulated";
}

cublasStatus_t sgemm(cublasHandle_t handle, cublasOperation_t of_a, cublasOperation_t of_b, int m, int n,
                     int k, const float* alpha, const float* a, int lda, const float* b, int ldb,
                     const float* beta, float* c, int ldc) {
  const bool plain_a = of_a == CUBLAS_OP_N, plain_b = of_b == CUBLAS_OP_N;
  if (!handle->workspace || m < 0 || n < 0 || k < 0 || lda < std::max(1, plain_a ? m : k) ||
      ldb < std::max(1, plain_b ? k : n) || ldc < std::max(1, m))
    return CUBLAS_STATUS_INVALID_VALUE;
  emulation::enqueue_work(handle->stream, "cublasSgemm", [=, scale = *alpha, keep = *beta] {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += double(plain_a ? a[i + l * lda] : a[l + i * lda]) *
                 double(plain_b ? b[l + j * ldb] : b[j + l * ldb]);
        float& to = c[i + j * ldc];
        to = float(scale * sum + (keep == 0 ? 0.0 : double(keep) * double(to)));
      }
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Function>
void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

DynamicLibrary::DynamicLibrary(const std::string& what, const std::vector<std::string>& files)
    : what_(what), file_(files.front()) {}
DynamicLibrary::~DynamicLibrary() = default;

std::map<std::string, void*>& emulation::library_functions() {
  static std::map<std::string, void*> functions = {
      {"cublasCreate_v2", address(create)},
      {"cublasDestroy_v2", address(destroy)},
      {"cublasGetVersion_v2", address(get_version)},
      {"cublasSetStream_v2", address(set_stream)},
      {"cublasSetWorkspace_v2", address(set_workspace)},
      {"cublasSetMathMode", address(set_math_mode)},
      {"cublasGetStatusString", address(status_string)},
      {"cublasSgemm_v2", address(sgemm)},
  };
  return functions;
}

void* DynamicLibrary::address_of(const char* name) const {
  const std::map<std::string, void*>& functions = emulation::library_functions();
  const auto found = functions.find(name);
  check(found != functions.end(), "emulated ", what_, ": ", name, " is not there");
  return found->second;
}

}  // namespace retort
