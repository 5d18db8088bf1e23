#include "engine/device.h"

#include <cstdlib>

#include "engine/base/cache_folder.h"
#include "engine/cpu/onednn/onednn.h"
#include "engine/cpu/portable.h"
#include "engine/cuda/cuda.h"

namespace retort {

namespace {

// Where cuDNN's plans are kept between runs; nowhere if there is no cache folder.
std::string plans_folder() {
  const std::filesystem::path cache = cache_folder();
  return cache.empty() ? std::string() : (cache / "cudnn-plans").string();
}

// Switches for measurements: no part of a run's settings.
bool is_set(const char* variable, const char* to = "1") {
  const char* value = std::getenv(variable);
  return value && std::string(value) == to;
}

std::unique_ptr<Backend> make_backend(const std::string& name, const DeviceOptions& options) {
  if (name == "cuda") {
    return make_cuda({.tf32 = options.precision != Precision::fp32,
                      .capture = options.capture,
                      .plans = plans_folder(),
                      .plans_of_run = options.plans,
                      .tune = options.measures && !is_set("RETORT_CUDNN_TUNE", "0"),
                      .cudnn_batch_norm = is_set("RETORT_CUDNN_BATCH_NORM"),
                      .cooperative = !is_set("RETORT_CUDA_COOPERATIVE", "0"),
                      .programmatic = !is_set("RETORT_CUDA_PROGRAMMATIC", "0"),
                      .separate_workspaces = is_set("RETORT_CUDNN_WORKSPACES")});
  }
  if (name == "portable") return std::make_unique<Portable>(options.threads, options.tuning);
  std::unique_ptr<Backend> onednn = make_onednn(options.threads, options.tuning);
  check(onednn != nullptr, Fault::device,
        "device onednn: this program was built without oneDNN; use --device portable");
  return onednn;
}

}  // namespace

std::string resolved_device(const std::string& name) {
  check(name == "auto" || name == "portable" || name == "onednn" || name == "cuda", Fault::usage, "device '",
        name, "' is unknown; expected auto, portable, onednn or cuda");
  return name == "auto" ? available_devices().front() : name;
}

Precision default_precision(const std::string& device) {
  return device == "cuda" ? Precision::tf32 : Precision::fp32;
}

void check_precision(const std::string& device, Precision precision) {
  check(device == "cuda" || precision == Precision::fp32, Fault::usage, "device ", device,
        ": computes in fp32 only, not in ", name_of(precision),
        "; leave --precision out or use --device cuda");
}

std::unique_ptr<Device> Device::open(const DeviceOptions& options) {
  const std::string name = resolved_device(options.name);
  check_precision(name, options.precision);
  std::unique_ptr<Backend> backend = make_backend(name, options);
  if (options.profile) backend = make_profiled(std::move(backend), *options.profile);
  return std::make_unique<Device>(std::move(backend), options.guard, options.precision);
}

std::vector<std::string> available_devices() {
  std::vector<std::string> names;
  if (cuda_missing().empty()) names.push_back("cuda");
  if (make_onednn(1)) names.push_back("onednn");
  names.push_back("portable");
  return names;
}

Device::Device(std::unique_ptr<Backend> backend, bool guard, Precision precision)
    : backend_(std::move(backend)),
      precision_(precision),
      step_(*backend_, guard),
      branch_(*backend_, guard),
      persistent_(*backend_, guard) {}

void Device::begin_step() {
  step_.rewind();
  branch_.rewind();
}

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
