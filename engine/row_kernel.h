// Row kernels: arithmetic over the rows of a matrix, written once as a struct (see kernels/lanes.h), compiled
// for every instruction set of the host and for the device, launched by Backend::launch_rows.
//
// To add one: write the struct, list it with RETORT_ROW_KERNEL in a file that CMake compiles once per
// instruction set (retort_isa_sources), and call launch_rows(device.backend(), MyRow<T>{...}, rows).
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/isa.h"

namespace retort {

struct RowKernel {
  // Rows [first, last) on the calling thread; kernel is the struct, scratch its scratch_bytes().
  using Host = void (*)(const void* kernel, int64_t first, int64_t last, void* scratch);
  // All rows, enqueued on a CUDA stream, scratch_bytes for each; returns the status of the launch, a cudaError_t. Null
  // where the device code was not built, and for f64.
  using DeviceLaunch = int (*)(const void* kernel, int64_t rows, int64_t scratch_bytes, void* stream);

  const char* name;
  Host host[isa_count];
  DeviceLaunch device;
};

// Defined by RETORT_ROW_KERNEL, once per instruction set.
template <class Kernel, Isa isa>
struct HostRows {
  static void run(const void* kernel, int64_t first, int64_t last, void* scratch);
};

// Defined in a .cu where CUDA is on and in a file of stubs (null) where it is off.
template <class Kernel>
struct DeviceRows {
  static RowKernel::DeviceLaunch launch();
};

template <class Kernel>
const RowKernel& row_kernel() {
  static_assert(std::is_trivially_copyable_v<Kernel>, "a row kernel is copied to the device as bytes");
  static const RowKernel kernel = {
      Kernel::name,
      {HostRows<Kernel, Isa::baseline>::run, HostRows<Kernel, compiled(Isa::avx2)>::run,
       HostRows<Kernel, compiled(Isa::avx512)>::run},
      DeviceRows<Kernel>::launch()};
  return kernel;
}

}  // namespace retort

// In the file of stubs that stands for the device code where CUDA is off.
#define RETORT_ROW_KERNEL_WITHOUT_DEVICE(...)                                 \
  template <>                                                                 \
  retort::RowKernel::DeviceLaunch retort::DeviceRows<__VA_ARGS__>::launch() { \
    return nullptr;                                                           \
  }
