// How deep JSON from a file may be nested, and how many entries an object of it may have. Its library copies,
// prints and compares by recursion, ordered objects already while it reads them: a file of nothing but
// brackets would use up the stack. Ordered objects are lists: an object's entries take the square of their
// number.
#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <type_traits>

namespace retort {

inline constexpr int most_json_levels = 64;                // nothing of ours has ten
inline constexpr size_t most_ordered_json_entries = 1000;  // nothing of ours has two hundred

// Before `json` is parsed: Fault::input, naming the file, for more levels of lists and objects than
// most_json_levels, or an object of more entries than `most_entries`.
void check_json_bounds(std::string_view json, const std::string& file, size_t most_entries);

// A file's content as nlohmann::json or ordered_json, held to that first; what is no JSON is discarded(), or,
// if so wanted, the library's exception.
template <class Json>
Json parse_json(const std::string& content, const std::string& file, bool throws = false) {
  constexpr bool ordered = std::is_same_v<Json, nlohmann::ordered_json>;
  check_json_bounds(content, file, ordered ? most_ordered_json_entries : content.size());
  return Json::parse(content, nullptr, throws);
}

}  // namespace retort
