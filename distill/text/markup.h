// Text in HTML and SVG.
#pragma once
#include <string>
#include <string_view>

namespace retort {

// As the content of an element or of a quoted attribute. Control characters become spaces; what is not UTF-8
// becomes U+FFFD.
std::string escaped_markup(std::string_view raw);

// Base64 of bytes, for data URIs.
std::string base64(std::string_view bytes);

}  // namespace retort
