#include "engine/cuda/cudnn/descriptor.h"

#include <algorithm>
#include <cstdint>

#include "engine/base/check.h"

namespace retort {

void cudnn_check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw CudnnRefusal{status, text(what, ": ", CudnnLibrary::get().explain(status))};
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  cudnn_check(CudnnLibrary::get().create_descriptor(type, &descriptor_), "cudnnBackendCreateDescriptor");
}

CudnnDescriptor::~CudnnDescriptor() {
  if (descriptor_) CudnnLibrary::get().destroy_descriptor(descriptor_);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                          const void* values) {
  const cudnnStatus_t status = CudnnLibrary::get().set_attribute(descriptor_, name, type, count, values);
  if (status != CUDNN_STATUS_SUCCESS)
    cudnn_check(status, text("cudnnBackendSetAttribute of attribute ", int(name)).c_str());
}

void CudnnDescriptor::finalize(const char* what) {
  cudnn_check(CudnnLibrary::get().finalize(descriptor_), what);
}

int64_t CudnnDescriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
                             void* values) const {
  int64_t count = 0;
  const cudnnStatus_t status =
      CudnnLibrary::get().get_attribute(descriptor_, name, type, most, &count, values);
  if (status != CUDNN_STATUS_SUCCESS)
    cudnn_check(status, text("cudnnBackendGetAttribute of attribute ", int(name)).c_str());
  // With room for none, all there are; else no more than there was room for.
  return most == 0 ? count : std::min(count, most);
}

int64_t CudnnDescriptor::get_integer(cudnnBackendAttributeName_t name) const {
  int64_t value = 0;
  get(name, CUDNN_TYPE_INT64, 1, &value);
  return value;
}

std::string CudnnDescriptor::get_text(cudnnBackendAttributeName_t name) const {
  std::string value(size_t(get(name, CUDNN_TYPE_CHAR, 0, nullptr)), '\0');
  if (!value.empty()) value.resize(size_t(get(name, CUDNN_TYPE_CHAR, int64_t(value.size()), value.data())));
  return value;
}

int64_t CudnnDescriptor::get_descriptors(cudnnBackendAttributeName_t name,
                                         std::vector<CudnnDescriptor>& into) const {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const CudnnDescriptor& descriptor : into) raw.push_back(descriptor.raw());
  return get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(raw.size()), raw.data());
}

}  // namespace retort
