// Stands for engine/cuda/cudnn_library.h: a library that is there.
#pragma once
#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include <string>

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace retort {

struct CudnnLibrary {
  static const CudnnLibrary& get() {
    static const CudnnLibrary library;
    return library;
  }
  cudnnStatus_t create(cudnnHandle_t* handle) const {
    *handle = new cudnnContext;
    return CUDNN_STATUS_SUCCESS;
  }
  cudnnStatus_t destroy(cudnnHandle_t handle) const {
    delete handle;
    return CUDNN_STATUS_SUCCESS;
  }
  cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream) const {
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
  }
  std::string version() const { return "emulated"; }
  std::string explain(cudnnStatus_t) const { return "emulated"; }
};

}  // namespace retort
