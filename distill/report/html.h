// Text in HTML and SVG.
#pragma once
#include <string>
#include <string_view>

namespace retort {

// As the content of an element or of a quoted attribute. Control characters become spaces; what is not UTF-8
// becomes U+FFFD.
std::string escaped_html(std::string_view raw);

// A number with its sign: "+0.42", "−1.30" (a minus, not a hyphen), "0.00"; NaN is "–".
std::string signed_number(double value, int decimals);

// Base64 of bytes, for data URIs.
std::string base64(std::string_view bytes);

}  // namespace retort
