#include "distill/report/sections.h"

#include <set>

#include "distill/report/embedded.h"
#include "engine/base/check.h"

namespace retort {

std::string section(const std::string& file, const std::map<std::string, std::string>& values) {
  const char* found = nullptr;
  for (const EmbeddedSection* one = embedded_sections; one->name; ++one) {
    if (file == one->name) found = one->content;
  }
  check(found, "section: there is no ", file);
  const std::string raw = found;
  std::string out;
  std::set<std::string> used;
  size_t at = 0;
  for (size_t open = raw.find("{{"); open != raw.npos; open = raw.find("{{", at)) {
    const size_t close = raw.find("}}", open);
    check(close != raw.npos, "section: ", file, " does not close {{");
    const std::string name = raw.substr(open + 2, close - open - 2);
    const auto value = values.find(name);
    check(value != values.end(), "section: ", file, " needs ", name);
    used.insert(name);
    out.append(raw, at, open - at);
    out += value->second;
    at = close + 2;
  }
  for (const auto& [name, value] : values) check(used.contains(name), "section: ", file, " has no ", name);
  return out.append(raw, at);
}

}  // namespace retort
