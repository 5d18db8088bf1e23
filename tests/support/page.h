// Whether a page is one that a browser reads as it was meant.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

namespace retort::testing {

// What is wrong with the page as a tree of elements; empty if nothing is. Strict: every element but the void
// ones is closed, attributes are quoted, and text holds no bare '<', '>' or '&'.
inline std::string flaw_of(const std::string& html) {
  const std::vector<std::string> voids = {"meta", "img", "br", "input"};
  std::vector<std::string> open;
  size_t at = html.starts_with("<!DOCTYPE html>\n") ? 16 : std::string::npos;
  if (at == std::string::npos) return "no doctype";
  while (at < html.size()) {
    const bool raw = !open.empty() && (open.back() == "style" || open.back() == "script");
    const size_t tag = raw ? html.find("</" + open.back() + ">", at) : html.find('<', at);
    const std::string content = html.substr(at, tag - at);
    if (!raw && content.find('>') != std::string::npos) return "a bare > in: " + content;
    for (size_t i = 0; !raw && (i = content.find('&', i)) != std::string::npos; ++i) {
      if (content.find(';', i) > i + 6) return "a bare & in: " + content;
    }
    if (tag == std::string::npos) break;
    size_t end = tag + 1;
    for (bool quoted = false; end < html.size() && (quoted || html[end] != '>'); ++end) {
      if (html[end] == '"') quoted = !quoted;
      if (html[end] == '<') return "a < inside a tag: " + html.substr(tag, end - tag);
    }
    const std::string inside = html.substr(tag + 1, end - tag - 1);
    at = end + 1;
    if (inside.starts_with("/")) {
      if (open.empty() || open.back() != inside.substr(1))
        return "<" + inside + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
      continue;
    }
    const std::string name = inside.substr(0, inside.find_first_of(" /"));
    if (inside.ends_with("/") || std::find(voids.begin(), voids.end(), name) != voids.end()) continue;
    open.push_back(name);
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

}  // namespace retort::testing
