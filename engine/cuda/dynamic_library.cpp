#include "engine/cuda/dynamic_library.h"

#include <dlfcn.h>

#include "engine/base/check.h"

namespace retort {

DynamicLibrary::DynamicLibrary(const std::string& what, const std::vector<std::string>& files) : what_(what) {
  std::string said;
  for (const std::string& file : files) {
    // Stays loaded to the end of the process: vendors' libraries register device code with the driver.
    handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle_) {
      file_ = file;
      return;
    }
    const char* error = dlerror();
    said += text(said.empty() ? "" : "; ", error ? error : file.c_str());
  }
  fail(Fault::device, "device cuda: ", what, " could not be loaded (", said,
       "); install it or name its folder in LD_LIBRARY_PATH");
}

DynamicLibrary::~DynamicLibrary() {
  if (handle_) dlclose(handle_);
}

void* DynamicLibrary::address_of(const char* name) const {
  void* address = dlsym(handle_, name);
  check(address != nullptr, Fault::device, "device cuda: ", what_, " (", file_, ") has no function ", name,
        "; another version is needed");
  return address;
}

}  // namespace retort
