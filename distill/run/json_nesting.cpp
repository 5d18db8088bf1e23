#include "distill/run/json_nesting.h"

#include "engine/base/check.h"

namespace retort {

void check_nesting(std::string_view json, const std::string& file) {
  int levels = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text && c == '\\')
      ++i;  // whatever follows ends no text
    else if (c == '"')
      in_text = !in_text;
    else if (!in_text && (c == ']' || c == '}'))
      --levels;
    else if (!in_text && (c == '[' || c == '{'))
      check(++levels <= most_json_levels, Fault::input, file, ": is nested deeper than ", most_json_levels,
            " levels, expected what this program writes");
  }
}

}  // namespace retort
