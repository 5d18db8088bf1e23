# Decides whether the oneDNN backend is built: sets RETORT_HAS_ONEDNN, and says in one line why not. Neither its absence
# nor a broken installation is an error, unless RETORT_ONEDNN=ON.

# Header, library, its threads, a program that links; sets why where one does not do.
function(retort_find_onednn)
  set(why "" PARENT_SCOPE)
  list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
  find_package(OneDNN QUIET)
  if(NOT OneDNN_FOUND)
    set(why "oneapi/dnnl/dnnl.hpp or its library was not found (Debian: libdnnl-dev)" PARENT_SCOPE)
    return()
  endif()
  set(what "oneDNN ${OneDNN_VERSION} (${OneDNN_LIBRARY})")
  # Our threads run it, one each: an OpenMP build can be held to that, one without threads is so.
  if(NOT OneDNN_CPU_THREADS MATCHES "^(OMP|SEQ)$")
    set(why "${what} is built for ${OneDNN_CPU_THREADS} threads, expected OMP or SEQ" PARENT_SCOPE)
    return()
  endif()
  set(probe ${PROJECT_BINARY_DIR}/onednn_probe.cpp)
  file(CONFIGURE OUTPUT ${probe} CONTENT
       "#include <oneapi/dnnl/dnnl.hpp>\nint main() { return dnnl::engine::get_count(dnnl::engine::kind::cpu) == 0; }\n")
  try_compile(RETORT_ONEDNN_LINKS ${PROJECT_BINARY_DIR}/onednn_probe SOURCES ${probe}
              LINK_LIBRARIES OneDNN::OneDNN Threads::Threads ${CMAKE_DL_LIBS}
              CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  if(NOT RETORT_ONEDNN_LINKS)
    set(why "no program links with ${what}" PARENT_SCOPE)
  endif()
  set(what "${what}" PARENT_SCOPE)
endfunction()

if(RETORT_ONEDNN STREQUAL "OFF")
  set(why "RETORT_ONEDNN=OFF")
else()
  retort_find_onednn()
endif()
retort_settle(ONEDNN "${why}" "${what} backend is built" "oneDNN backend is not built")
