// A shared library that is opened when it is needed, so that the program starts where it is missing.
#pragma once
#include <string>
#include <vector>

namespace retort {

class DynamicLibrary {
 public:
  // The first of the file names that can be opened. Throws Error(Fault::device) if none can: the message
  // names the library ("cuBLAS 13"), the files and what the loader said.
  DynamicLibrary(const std::string& what, const std::vector<std::string>& files);
  ~DynamicLibrary();
  DynamicLibrary(const DynamicLibrary&) = delete;
  DynamicLibrary& operator=(const DynamicLibrary&) = delete;

  // Function is the type of the function, as in a header:
  // library.load<decltype(cublasCreate_v2)>("cublasCreate_v2"). Throws Error(Fault::device) if the library
  // has none of that name.
  template <class Function>
  Function* load(const char* name) const {
    return reinterpret_cast<Function*>(address_of(name));
  }
  void* handle() const { return handle_; }
  const std::string& file() const { return file_; }

 private:
  void* address_of(const char* name) const;
  std::string what_, file_;
  void* handle_ = nullptr;
};

}  // namespace retort
