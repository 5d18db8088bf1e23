#include "engine/cuda/cudnn/library.h"

#include <dlfcn.h>

#include <mutex>
#include <optional>

#include "engine/base/check.h"

namespace retort {
namespace {

// Plans are built from descriptions of devices, and from device properties, since 9.8.
constexpr size_t oldest = 90800, next_major = 100000;

std::string version_text(size_t version) {
  return text(version / 10000, '.', version / 100 % 100, '.', version % 100);
}

CudnnLibrary load() {
  const char* name = "libcudnn.so.9";
  void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    fail(Fault::device, "cuDNN: ", name, " cannot be loaded (", why ? why : "no reason given",
         "); install cuDNN 9 for the CUDA version of this program, or name its folder in LD_LIBRARY_PATH");
  }
  const auto find = [&](auto& function, const char* symbol) {
    void* address = dlsym(library, symbol);
    check(address, Fault::device, "cuDNN: ", name, " has no ", symbol, "; install cuDNN ",
          version_text(oldest), " or a later 9.x");
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
  CudnnLibrary cudnn;
  find(cudnn.get_version, "cudnnGetVersion");
  const size_t version = cudnn.get_version();
  check(version >= oldest && version < next_major, Fault::device, "cuDNN: ", name, " is version ",
        version_text(version), ", expected ", version_text(oldest), " or a later 9.x");
  find(cudnn.get_error_string, "cudnnGetErrorString");
  find(cudnn.get_last_error_string, "cudnnGetLastErrorString");
  find(cudnn.create, "cudnnCreate");
  find(cudnn.destroy, "cudnnDestroy");
  find(cudnn.set_stream, "cudnnSetStream");
  find(cudnn.create_descriptor, "cudnnBackendCreateDescriptor");
  find(cudnn.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  find(cudnn.finalize, "cudnnBackendFinalize");
  find(cudnn.set_attribute, "cudnnBackendSetAttribute");
  find(cudnn.get_attribute, "cudnnBackendGetAttribute");
  find(cudnn.execute, "cudnnBackendExecute");
  return cudnn;
}

}  // namespace

const CudnnLibrary& CudnnLibrary::get() {
  static std::mutex mutex;
  static std::optional<CudnnLibrary> library;
  const std::lock_guard lock(mutex);
  if (!library) library = load();
  return *library;
}

std::string CudnnLibrary::version() const {
  return version_text(get_version());
}

std::string CudnnLibrary::explain(cudnnStatus_t status) const {
  char more[512] = "";
  get_last_error_string(more, sizeof more);
  std::string message = get_error_string(status);
  if (more[0]) message += text(" (", more, ')');
  return message;
}

}  // namespace retort
