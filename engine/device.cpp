#include "engine/device.h"

#include "engine/cpu/onednn.h"
#include "engine/cpu/portable.h"
#include "engine/cuda/cuda.h"

namespace retort {

std::unique_ptr<Device> Device::open(const DeviceOptions& options) {
  const std::string& name = options.name;
  check(name == "auto" || name == "portable" || name == "onednn" || name == "cuda", Fault::usage, "device '",
        name, "' is unknown; expected auto, portable, onednn or cuda");
  std::unique_ptr<Backend> backend;
  if (name == "cuda" || (name == "auto" && cuda_missing().empty())) backend = make_cuda({});
  if (!backend && name != "portable") backend = make_onednn(options.threads);
  check(backend || name != "onednn", Fault::device,
        "device onednn: this program was built without oneDNN; use --device portable");
  if (!backend) backend = std::make_unique<Portable>(options.threads);
  if (options.profile) backend = make_profiled(std::move(backend), *options.profile);
  return std::make_unique<Device>(std::move(backend), options.guard);
}

std::vector<std::string> available_devices() {
  std::vector<std::string> names;
  if (cuda_missing().empty()) names.push_back("cuda");
  if (make_onednn(1)) names.push_back("onednn");
  names.push_back("portable");
  return names;
}

Device::Device(std::unique_ptr<Backend> backend, bool guard)
    : backend_(std::move(backend)), step_(*backend_, guard), persistent_(*backend_, guard) {}

Array Device::persistent(const Shape& shape, DType type, double value) {
  Array array(persistent_, shape, type);
  if (type != DType::u8 && type != DType::i64) backend_->fill(array, value);
  return array;
}

Scalar Device::scalar(double value) {
  constexpr int per_block = 32;  // one alignment unit of the arena
  if (scalar_blocks_.empty() || scalars_in_last_block_ == per_block) {
    scalar_blocks_.push_back(persistent({per_block}, DType::f64, 0));
    scalars_in_last_block_ = 0;
  }
  Tensor one{scalar_blocks_.back().tensor.as<double>() + scalars_in_last_block_++, {1}, DType::f64};
  backend_->set_scalar(one, value);
  return {one};
}

double Device::read(const Scalar& scalar) {
  double value = 0;
  backend_->download(&value, scalar.value);
  return value;
}

}  // namespace retort
