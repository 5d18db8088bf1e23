// Numbers and files in HTML.
#pragma once
#include <string>
#include <string_view>

namespace retort {

// A number with its sign: "+0.42", "−1.30" (a minus, not a hyphen), "0.00"; NaN is "–".
std::string signed_number(double value, int decimals);

// Base64 of bytes, for data URIs.
std::string base64(std::string_view bytes);

}  // namespace retort
