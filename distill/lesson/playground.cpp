#include "distill/lesson/playground.h"

#include <string_view>

#include "distill/lesson/embedded.h"
#include "distill/report/embedded.h"
#include "distill/text/markup.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string bytes_of(std::string_view digits) {
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += char(16 * value(digits[i]) + value(digits[i + 1]));
  return bytes;
}

void put(std::string& page, std::string_view place, std::string_view content) {
  const size_t at = page.find(place);
  check(at != page.npos, "playground: the page has no ", place);
  page.replace(at, place.size(), content);
}

}  // namespace

std::string playground_page() {
  std::string page = embedded_page_html;
  put(page, "{{style}}", std::string(embedded_style_css) + embedded_page_css);
  put(page, "{{kernels}}", base64(bytes_of(embedded_playground_wasm)));
  put(page, "{{student}}", base64(bytes_of(embedded_student_retort)));
  put(page, "{{script}}", embedded_page_js);
  return page;
}

}  // namespace retort
