#include "engine/cuda/cublas.h"

#include <cublas_v2.h>

#include <climits>
#include <mutex>

#include "engine/base/check.h"
#include "engine/cuda/capture_turn.h"
#include "engine/cuda/dynamic_library.h"
#include "engine/cuda/status.h"

namespace retort {

namespace {

std::string what() {
  return text("cuBLAS ", CUBLAS_VER_MAJOR);
}
std::string file() {
  return text("libcublas.so.", CUBLAS_VER_MAJOR);
}

}  // namespace

struct Cublas::Impl {
  DynamicLibrary library{what(), {file()}};
  decltype(&cublasCreate_v2) create = library.load<decltype(cublasCreate_v2)>("cublasCreate_v2");
  decltype(&cublasDestroy_v2) destroy = library.load<decltype(cublasDestroy_v2)>("cublasDestroy_v2");
  decltype(&cublasGetVersion_v2) get_version =
      library.load<decltype(cublasGetVersion_v2)>("cublasGetVersion_v2");
  decltype(&cublasSetStream_v2) set_stream = library.load<decltype(cublasSetStream_v2)>("cublasSetStream_v2");
  decltype(&cublasSetWorkspace_v2) set_workspace =
      library.load<decltype(cublasSetWorkspace_v2)>("cublasSetWorkspace_v2");
  decltype(&cublasSetMathMode) set_math_mode = library.load<decltype(cublasSetMathMode)>("cublasSetMathMode");
  decltype(&cublasSgemm_v2) sgemm = library.load<decltype(cublasSgemm_v2)>("cublasSgemm_v2");
  decltype(&cublasGetStatusString) status_string =
      library.load<decltype(cublasGetStatusString)>("cublasGetStatusString");
  cublasHandle_t handle = nullptr;
  int version = 0;

  ~Impl() {
    if (!handle) return;
    const std::lock_guard turn(capture_turn());
    destroy(handle);
  }

  template <class... Parts>
  void check_status(cublasStatus_t status, const Parts&... operation) const {
    if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
      return;
    const Fault fault = status == CUBLAS_STATUS_ALLOC_FAILED ? Fault::memory : Fault::internal;
    fail(fault, "cuBLAS: ", text(operation...), ": ", status_string(status));
  }
};

Cublas::Cublas(CUstream_st* stream, void* workspace) : impl_(std::make_unique<Impl>()) {
  Impl& i = *impl_;
  {
    const std::lock_guard turn(capture_turn());
    const cublasStatus_t status = i.create(&i.handle);
    check_memory_for("cuBLAS", status == CUBLAS_STATUS_SUCCESS);
    i.check_status(status, "starting");
  }
  i.check_status(i.get_version(i.handle, &i.version), "asking for the version");
  // The stream first: setting it takes the workspace away.
  i.check_status(i.set_stream(i.handle, stream), "setting the stream");
  i.check_status(i.set_workspace(i.handle, workspace, workspace_bytes), "setting the workspace");
  i.check_status(i.set_math_mode(i.handle, CUBLAS_DEFAULT_MATH),
                 "setting the precision");  // f32 without tf32
}

Cublas::~Cublas() = default;
Cublas::Cublas(Cublas&&) noexcept = default;
Cublas& Cublas::operator=(Cublas&&) noexcept = default;

std::string Cublas::description() const {
  const int v = impl_->version;  // major * 10000 + minor * 100 + patch
  return text("cuBLAS ", v / 10000, ".", v / 100 % 100, ".", v % 100);
}

void Cublas::product(const float* a, bool transpose_a, const float* b, bool transpose_b, float* c,
                     int64_t rows, int64_t columns, int64_t inner, float beta) {
  check(rows <= INT_MAX && columns <= INT_MAX && inner <= INT_MAX, "cuBLAS: a product of ", rows, "x", inner,
        " and ", inner, "x", columns, " is too large");
  // cuBLAS reads column-major: our row-major matrices are its transposed ones, and c' = op(b)' op(a)'.
  const float one = 1.0f;
  const int lda = int(transpose_a ? rows : inner), ldb = int(transpose_b ? inner : columns);
  impl_->check_status(impl_->sgemm(impl_->handle, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                   transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, int(columns), int(rows),
                                   int(inner), &one, b, ldb, a, lda, &beta, c, int(columns)),
                      "matmul ", rows, "x", inner, " by ", inner, "x", columns);
}

std::string Cublas::missing() {
  try {
    static const DynamicLibrary kept(what(), {file()});  // loading it again is quick then
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace retort
