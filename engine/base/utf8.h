// Whether bytes are UTF-8: libraries that read text see no other.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "engine/base/check.h"

namespace retort {

// Where the text stops being UTF-8 (RFC 3629: no surrogates, no overlong forms, up to U+10FFFF); its size if
// it is so throughout.
size_t valid_utf8(std::string_view text);

bool is_utf8(std::string_view text);

// `fault`, naming the line and the byte, unless `content` of that file is UTF-8.
void check_utf8(std::string_view content, const std::string& file, Fault fault);

}  // namespace retort
