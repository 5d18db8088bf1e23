# retort_patch_stb(IN OUT): OUT becomes the stb_image.h IN without what makes it give pixels that nobody sent:
#
#  - a decoded Huffman symbol's index may leave its table (before 2.28, stbi__jpeg_huff_decode: an assertion only)
#  - a Huffman table may claim more than 256 symbols (before 2.28, DHT in stbi__process_marker)
#  - a PNG's pixels may point beyond its palette, to whatever lies on the stack
#  - where coded data of a JPEG are missing, zeros are decoded, or the rest is left out, and nothing is said
#
# Configuring fails where the lines to mend are not found as often as expected: a version that nobody has looked at.
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
    retort_insert_before(
      "   STBI_ASSERT((((j->code_buffer) >> (32 - h->size[c])) & stbi__bmask[h->size[c]]) == h->code[c])"
      "   if (c < 0 || c >= 256) return -1;\n")
    retort_insert_before(
      "            L -= 17"
      "            if (n > 256) return stbi__err(\"bad code lengths\",\"Corrupt JPEG\");\n")
  endif()

  retort_insert_before(
    "   p = (stbi_uc *) stbi__malloc_mad2(pixel_count, pal_img_n, 0)"
    "   for (i=0; i < pixel_count; ++i) if (orig[i] >= len) return stbi__err(\"bad palette index\",\"Corrupt PNG\");\n")

  # Of a scan: zero bits put behind its data, which are the last to be taken; whether a restart interval took some;
  # how many of its blocks or groups of blocks (MCUs) were decoded. The structure is zeroed when it is made.
  retort_insert_before("   int            nomore" "   int            filled, missing, decoded;\n")
  retort_insert_before("      j->code_buffer |= b << (24 - j->code_bits)"
    "      if (j->nomore && j->filled < 1024) j->filled += 8;\n")
  retort_insert_before("   j->code_bits = 0" "   if (j->filled > j->code_bits) j->missing = 1;\n   j->filled = 0;\n")
  retort_replace(4 "if (--z->todo <= 0)" "if (++z->decoded, --z->todo <= 0)")
  set(parse "         if (!stbi__parse_entropy_coded_data(j)) return 0;\n")
  retort_replace(1 "${parse}"
"         j->decoded = 0;
${parse}         {
            int n = j->order[0];
            int expected = j->scan_n == 1 ? ((j->img_comp[n].x+7) >> 3) * ((j->img_comp[n].y+7) >> 3)
                                          : j->img_mcu_x * j->img_mcu_y;
            if (j->filled > j->code_bits || j->missing || j->decoded != expected)
               return stbi__err(\"coded data are missing\",\"Corrupt JPEG\");
         }
")
  file(CONFIGURE OUTPUT "${out}" CONTENT "@header@" @ONLY)
endfunction()

# Both change `header` of retort_patch_stb().

macro(retort_insert_before line added)
  retort_replace(1 "${line}" "${added}${line}")
endmacro()

# Every `old`, of which there are as many as expected.
function(retort_replace expected old new)
  string(LENGTH "${header}" before)
  string(REPLACE "${old}" "" without "${header}")
  string(LENGTH "${without}" after)
  string(LENGTH "${old}" length)
  math(EXPR found "(${before} - ${after}) / ${length}")
  if(NOT found EQUAL expected)
    message(FATAL_ERROR "retort: ${in} (stb_image ${version}): '${old}' is there ${found} times, expected ${expected}; "
                        "use another version of stb_image, 2.27 to 2.30 are known (RETORT_STB_DIR)")
  endif()
  string(REPLACE "${old}" "${new}" changed "${header}")
  set(header "${changed}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  retort_patch_stb("${IN}" "${OUT}")
endif()
