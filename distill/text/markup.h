// Text in HTML, SVG and Markdown: whatever it holds, it shows as itself.
#pragma once
#include <string>
#include <string_view>

namespace retort {

// As the content of an element or of a quoted attribute. Control characters become spaces; what is not UTF-8
// becomes U+FFFD.
std::string escaped_markup(std::string_view raw);

// The same of several lines, whose ends stay.
std::string escaped_lines(std::string_view raw);

// As text of one line in Markdown (CommonMark with tables): no element, link, emphasis, cell or heading
// begins in it.
std::string escaped_markdown(std::string_view raw);

// For a terminal: control characters, among them those that begin escape sequences, become spaces; what is
// not UTF-8 becomes U+FFFD.
std::string one_line(std::string_view raw);

// Base64 of bytes, for data URIs.
std::string base64(std::string_view bytes);

}  // namespace retort
