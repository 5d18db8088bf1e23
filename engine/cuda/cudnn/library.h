// cuDNN, loaded when it is first needed: the program starts on machines that do not have it. Only the
// functions of the graph API ("backend API") are used, so cudnn.h is all that a build needs.
#pragma once
#include <cudnn_graph.h>

#include <string>

namespace retort {

// The functions used, by their names without the prefix cudnn.
struct CudnnLibrary {
  decltype(&::cudnnGetVersion) get_version = nullptr;
  decltype(&::cudnnGetErrorString) get_error_string = nullptr;
  decltype(&::cudnnGetLastErrorString) get_last_error_string = nullptr;
  decltype(&::cudnnCreate) create = nullptr;
  decltype(&::cudnnDestroy) destroy = nullptr;
  decltype(&::cudnnSetStream) set_stream = nullptr;
  decltype(&::cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&::cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&::cudnnBackendFinalize) finalize = nullptr;
  decltype(&::cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&::cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&::cudnnBackendExecute) execute = nullptr;

  // The library, loaded at the first call and for the life of the process. Throws Error(Fault::device) if it
  // cannot be loaded or is not supported; a later call tries again.
  static const CudnnLibrary& get();

  std::string version() const;  // "9.19.0"
  // "CUDNN_STATUS_NOT_SUPPORTED (what cuDNN says more)", for messages.
  std::string explain(cudnnStatus_t status) const;
};

}  // namespace retort
