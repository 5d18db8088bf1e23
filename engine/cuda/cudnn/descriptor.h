// A descriptor of cuDNN's graph API: an object with attributes, finalised once, destroyed with its owner.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/cuda/cudnn/library.h"

namespace retort {

// What a call of cuDNN returned when it was not success. Plans are searched by trying, so this is caught
// where a refusal is an answer, and becomes an Error elsewhere.
struct CudnnRefusal {
  cudnnStatus_t status;
  std::string why;

  // True if cuDNN says that it has no engine for this, false if the description is wrong or something broke.
  bool unsupported() const { return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED; }
};

// Throws CudnnRefusal unless status is success; what: the call, for the message.
void cudnn_check(cudnnStatus_t status, const char* what);

class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);
  CudnnDescriptor(CudnnDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~CudnnDescriptor();

  cudnnBackendDescriptor_t raw() const { return descriptor_; }

  // All throw CudnnRefusal.
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    set(name, CUDNN_TYPE_INT64, int64_t(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, bool value) { set(name, CUDNN_TYPE_BOOLEAN, 1, &value); }
  void set(cudnnBackendAttributeName_t name, float value) { set(name, CUDNN_TYPE_FLOAT, 1, &value); }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
  }
  void finalize(const char* what);

  int64_t get_integer(cudnnBackendAttributeName_t name) const;
  // At most `most` values of an enumeration.
  template <class T>
  std::vector<T> get_list(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          int64_t most) const {
    std::vector<T> values(static_cast<size_t>(most));
    values.resize(size_t(get(name, type, most, values.data())));
    return values;
  }
  std::string get_text(cudnnBackendAttributeName_t name) const;
  // Fills descriptors that were made before; how many there are.
  int64_t get_descriptors(cudnnBackendAttributeName_t name, std::vector<CudnnDescriptor>& into) const;

 private:
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
              void* values) const;

  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace retort
