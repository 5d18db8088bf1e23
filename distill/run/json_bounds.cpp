#include "distill/run/json_bounds.h"

#include <array>

#include "engine/base/check.h"

namespace retort {

void check_json_bounds(std::string_view json, const std::string& file, size_t most_entries) {
  std::array<size_t, most_json_levels + 1> entries{};  // of the object at each level
  int levels = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\')
        ++i;  // whatever follows ends no text
      else if (c == '"')
        in_text = false;
      continue;
    }
    switch (c) {
      case '"':
        in_text = true;
        break;
      case '[':
      case '{':
        check(++levels <= most_json_levels, Fault::input, file, ": is nested deeper than ", most_json_levels,
              " levels, expected what this program writes");
        entries[size_t(levels)] = 0;
        break;
      case ']':
      case '}':
        if (levels > 0) --levels;
        break;
      case ':':
        check(++entries[size_t(levels)] <= most_entries, Fault::input, file, ": an object has more than ",
              most_entries, " entries, expected what this program writes");
        break;
      default:
        break;
    }
  }
}

}  // namespace retort
