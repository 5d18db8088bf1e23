// How deep JSON from a file may be nested. Its library copies, prints and compares by recursion, ordered
// objects already while it reads them: a file of nothing but brackets would use up the stack.
#pragma once
#include <string>
#include <string_view>

namespace retort {

inline constexpr int most_json_levels = 64;  // nothing of ours has ten

// Before `json` is parsed: Fault::input, naming the file, for more levels of lists and objects than that.
void check_nesting(std::string_view json, const std::string& file);

// A file's content as nlohmann::json or ordered_json, held to that first; what is no JSON is discarded(), or,
// if so wanted, the library's exception.
template <class Json>
Json parse_json(const std::string& content, const std::string& file, bool throws = false) {
  check_nesting(content, file);
  return Json::parse(content, nullptr, throws);
}

}  // namespace retort
