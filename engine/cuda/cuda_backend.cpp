// The backend as a whole: what it needs, what it is made of.
#include "engine/cuda/cuda_backend.h"

#include "engine/cuda/cudnn/library.h"
#include "engine/cuda/nccl_sum.h"
#include "engine/kernels/lanes.h"

namespace retort {

namespace {

constexpr size_t least_scratch = size_t(4) << 20;
int local_rank_of_process = 0, local_size_of_process = 1;
constexpr int least_capability = 8;

std::string version_text(int version) {  // 1000 * major + 10 * minor
  return text(version / 1000, ".", version % 1000 / 10);
}

// Of the driver and the device; empty if both will do. With the device, if it is asked for.
struct Found {
  int number = 0;  // of those that CUDA_VISIBLE_DEVICES leaves
  cudaDeviceProp properties;
};
std::string device_missing(Found* device) {
  int driver = 0, runtime = 0, count = 0;
  cudaRuntimeGetVersion(&runtime);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    return "no NVIDIA driver was found (libcuda.so.1)";
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver)
    return text("the NVIDIA driver is for CUDA ", version_text(driver), ", this program needs one for ",
                version_text(runtime));
  if (status != cudaSuccess) return text("no device can be used: ", cudaGetErrorString(status));
  if (count == 0) return "no device was found";
  Found found;
  // One that is visible may be another one for each process. Too few are too few for all of them.
  found.number = count == 1 ? 0 : local_rank_of_process;
  if (count > 1 && local_size_of_process > count)
    return text(local_size_of_process, " processes were started on this machine, and ", count,
                " GPUs can be seen: start one for each GPU");
  const cudaError_t asked = cudaGetDeviceProperties(&found.properties, found.number);
  if (asked != cudaSuccess) return text("the device cannot be used: ", cudaGetErrorString(asked));
  const cudaDeviceProp& properties = found.properties;
  if (properties.major < least_capability)
    return text("the ", properties.name, " has compute capability ", properties.major, ".", properties.minor,
                ", ", least_capability, ".0 or more is needed");
  if (device) *device = found;
  return {};
}

std::string libraries_missing() {
  if (const std::string said = Cublas::missing(); !said.empty()) return said;
  try {
    CudnnLibrary::get();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// Throws if there is no device to use.
cudaDeviceProp device_properties() {
  Found device;
  const std::string missing = device_missing(&device);
  check(missing.empty(), Fault::device, "device cuda: ", missing, "; use --device auto");
  check_cuda(cudaSetDevice(device.number), "choosing the device");
  return device.properties;
}

}  // namespace

std::string cuda_missing() {
  static const std::string missing = [] {
    const std::string said = device_missing(nullptr);
    return said.empty() ? libraries_missing() : said;
  }();
  return missing;
}

void share_gpus(int local_rank, int local_size) {
  local_rank_of_process = local_rank;
  local_size_of_process = local_size;
}

std::unique_ptr<Backend> make_cuda(const CudaOptions& options) {
  return std::make_unique<Cuda>(options);
}

Cuda::Lane::Lane(const CudaOptions& options, Memory& memory)
    : tickets(memory, ticket_bytes),
      cublas_workspace(memory, Cublas::workspace_bytes),
      cublas(stream.get(), cublas_workspace.data()),
      cudnn(CudnnOptions{.deterministic = options.deterministic,
                         .tune = options.tune,
                         .math = options.tf32 ? CudnnMath::tf32 : CudnnMath::fp32,
                         .plans = options.plans,
                         .plans_of_run = options.plans_of_run,
                         .separate_workspaces = options.separate_workspaces},
            memory, stream.get()) {
  check_cuda(cudaMemsetAsync(tickets.data(), 0, ticket_bytes, stream.get()), "preparing tickets");
  scratch.emplace_back(memory, least_scratch);
}

Cuda::Cuda(const CudaOptions& options)
    : options_(options),
      device_(device_properties()),
      cooperative_(options.cooperative && device_.cooperativeLaunch),
      programmatic_(options.programmatic && device_.major >= 9 && batch_norm_waits()),
      main_(options, *this) {
  lane_ = &main_;
}

Cuda::~Cuda() {
  // Nothing can be reported from here; the process may be ending because of an error of the device.
  abandon_capture();
  wait_quietly();
  lane_ = nullptr;
}

void Cuda::wait_quietly() const {
  if (!lane_) return;
  if (sum_) sum_->wait([this] { return cudaStreamQuery(main_.stream.get()); });
  cudaStreamSynchronize(main_.stream.get());
  if (branch_) cudaStreamSynchronize(branch_->stream.get());
}

std::string Cuda::description() const {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  return text("cuda, ", device_.name, ", compute capability ", device_.major, ".", device_.minor, ", CUDA ",
              version_text(runtime), ", driver for ", version_text(driver), ", ", main_.cublas.description(),
              ", ", main_.cudnn.description(), ", ", options_.tf32 ? "tf32" : "f32",
              options_.deterministic ? "" : ", not deterministic", options_.tune ? ", engines measured" : "",
              options_.cudnn_batch_norm ? ", batch norm by cuDNN" : "");
}

void Cuda::keep_plans(const std::string& folder) {
  options_.plans_of_run = folder;
  main_.cudnn.keep_plans(folder);
  if (branch_) branch_->cudnn.keep_plans(folder);
}

void Cuda::launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t, int64_t rows,
                       int64_t scratch_bytes) {
  check(rows_kernel.device != nullptr, rows_kernel.name,
        ": is not compiled for the device in this type (f64 runs on "
        "the portable backend only)");
  check(int64_t(lane_scratch_bytes(size_t(scratch_bytes))) <= int64_t(device_.sharedMemPerBlockOptin),
        Fault::device, rows_kernel.name, ": a row needs ", scratch_bytes, " bytes of shared memory, the ",
        device_.name, " has ", device_.sharedMemPerBlockOptin, "; use a CPU device for so many classes");
  check_cuda(cudaError_t(rows_kernel.device(kernel, rows, scratch_bytes, stream())), rows_kernel.name, " of ",
             rows, " rows");
}

void* Cuda::scratch(size_t bytes) {
  std::vector<DeviceMemory>& blocks = lane_->scratch;
  const size_t there = blocks.back().bytes();
  if (bytes > there) {
    check(!capturing_, "cuda: a kernel needs ", bytes, " bytes of scratch while a step is captured, ", there,
          " are there; run the step once before");
    blocks.emplace_back(*this, std::max(bytes, 2 * there));
  }
  return blocks.back().data();
}

}  // namespace retort
