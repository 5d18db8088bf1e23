# Finds oneDNN by its header and its library: OneDNN_FOUND, OneDNN_VERSION, OneDNN_CPU_THREADS (OMP, SEQ, TBB, ...) and
# the target OneDNN::OneDNN. The package that oneDNN installs asks for OpenCL, which its header for CPUs does not need.
find_path(OneDNN_INCLUDE oneapi/dnnl/dnnl.hpp DOC "Folder of oneapi/dnnl/dnnl.hpp (libdnnl-dev)")
find_library(OneDNN_LIBRARY dnnl DOC "oneDNN (libdnnl-dev)")
mark_as_advanced(OneDNN_INCLUDE OneDNN_LIBRARY)

# The value of a #define, or nothing.
function(onednn_read file name result)
  set(${result} "" PARENT_SCOPE)
  if(EXISTS "${OneDNN_INCLUDE}/oneapi/dnnl/${file}")
    file(STRINGS "${OneDNN_INCLUDE}/oneapi/dnnl/${file}" line REGEX "^#define +${name} " LIMIT_COUNT 1)
    string(REGEX REPLACE "^#define +${name} +" "" value "${line}")
    set(${result} "${value}" PARENT_SCOPE)
  endif()
endfunction()

onednn_read(dnnl_version.h DNNL_VERSION_MAJOR onednn_major)
onednn_read(dnnl_version.h DNNL_VERSION_MINOR onednn_minor)
onednn_read(dnnl_version.h DNNL_VERSION_PATCH onednn_patch)
onednn_read(dnnl_config.h DNNL_CPU_THREADING_RUNTIME OneDNN_CPU_THREADS)
string(REPLACE "DNNL_RUNTIME_" "" OneDNN_CPU_THREADS "${OneDNN_CPU_THREADS}")
if(NOT onednn_major STREQUAL "")
  set(OneDNN_VERSION ${onednn_major}.${onednn_minor}.${onednn_patch})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE OneDNN_VERSION OneDNN_CPU_THREADS
                                  VERSION_VAR OneDNN_VERSION)
if(OneDNN_FOUND AND NOT TARGET OneDNN::OneDNN)
  add_library(OneDNN::OneDNN UNKNOWN IMPORTED)
  set_target_properties(OneDNN::OneDNN PROPERTIES IMPORTED_LOCATION "${OneDNN_LIBRARY}"
                                                  INTERFACE_INCLUDE_DIRECTORIES "${OneDNN_INCLUDE}")
endif()
