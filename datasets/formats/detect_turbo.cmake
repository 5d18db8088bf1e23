# Decides whether JPEGs can be decoded by libjpeg-turbo: sets RETORT_HAS_TURBO and says in one line why not. Its
# absence is no error, unless RETORT_TURBO=ON: stb_image decodes the same files.
set(why "")

# Header, library, and the two functions that read only a part of a picture, which other libjpegs lack.
function(retort_find_turbo)
  if(RETORT_STATIC)
    set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  endif()
  find_package(JPEG QUIET)
  if(NOT JPEG_FOUND)
    set(why "jpeglib.h or its library is missing (Debian: libjpeg62-turbo-dev)" PARENT_SCOPE)
    return()
  endif()
  set(probe ${PROJECT_BINARY_DIR}/turbo_probe.cpp)
  file(CONFIGURE OUTPUT ${probe} CONTENT
       "#include <cstdio>\n#include <jpeglib.h>\nint main() {\n  JDIMENSION x = 0, w = 1;\n  jpeg_crop_scanline(nullptr, &x, &w);\n  return int(jpeg_skip_scanlines(nullptr, LIBJPEG_TURBO_VERSION_NUMBER));\n}\n")
  try_compile(RETORT_TURBO_LINKS ${PROJECT_BINARY_DIR}/turbo_probe SOURCES ${probe} LINK_LIBRARIES JPEG::JPEG)
  if(NOT RETORT_TURBO_LINKS)
    set(why "${JPEG_LIBRARIES} is no libjpeg-turbo of 1.5 or later" PARENT_SCOPE)
  endif()
endfunction()

if(RETORT_TURBO STREQUAL "OFF")
  set(why "RETORT_TURBO=OFF")
else()
  retort_find_turbo()
endif()
retort_settle(TURBO "${why}" "JPEGs are decoded by stb_image, or by libjpeg-turbo where data.decoder says so"
              "JPEGs are decoded by stb_image alone")
