// The playground's parts, carried in the program: playground/.
#pragma once

namespace retort {

extern const char* const embedded_page_html;  // with {{style}}, {{kernels}}, {{student}} and {{script}}
extern const char* const embedded_page_css;
extern const char* const embedded_page_js;
extern const char* const embedded_playground_wasm;  // two digits a byte, as the next
extern const char* const embedded_student_retort;

}  // namespace retort
