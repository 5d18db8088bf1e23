# retort_patch_stb(IN OUT): OUT becomes the stb_image.h IN without the memory errors that versions before 2.28 have.
# Configuring fails where the lines to mend are not found exactly once: a version that nobody has looked at.
#
#  - a decoded Huffman symbol's index may leave its table (2.27, stbi__jpeg_huff_decode: an assertion only)
#  - a Huffman table may claim more than 256 symbols (2.27, DHT in stbi__process_marker)
#
# As a script: cmake -DIN=... -DOUT=... -P patch_stb.cmake

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  cmake_minimum_required(VERSION 3.25)
endif()

function(retort_patch_stb in out)
  file(READ "${in}" header)
  string(REGEX MATCH "stb_image - v([0-9]+\\.[0-9]+)" found "${header}")
  set(version "${CMAKE_MATCH_1}")
  if(NOT found)
    message(FATAL_ERROR "retort: ${in} does not say which version of stb_image it is")
  endif()
  if(version VERSION_LESS 2.28)
    retort_insert_before(header
      "   STBI_ASSERT((((j->code_buffer) >> (32 - h->size[c])) & stbi__bmask[h->size[c]]) == h->code[c])"
      "   if (c < 0 || c >= 256) return -1;\n" "${in} (${version})")
    retort_insert_before(header
      "            L -= 17"
      "            if (n > 256) return stbi__err(\"bad code lengths\",\"Corrupt JPEG\");\n" "${in} (${version})")
  endif()
  file(CONFIGURE OUTPUT "${out}" CONTENT "@header@" @ONLY)
endfunction()

# Puts `added` before the one line that begins with `line`.
function(retort_insert_before text line added where)
  string(FIND "${${text}}" "${line}" first)
  string(FIND "${${text}}" "${line}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "retort: ${where}: the line '${line}' is expected exactly once; "
                        "use stb_image 2.28 or newer (RETORT_STB_DIR)")
  endif()
  string(REPLACE "${line}" "${added}${line}" changed "${${text}}")
  set(${text} "${changed}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  retort_patch_stb("${IN}" "${OUT}")
endif()
