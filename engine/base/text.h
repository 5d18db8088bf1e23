// Numbers and lists as text, and back. Independent of the locale.
#pragma once
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

// The shortest decimal that reads back as the same double; "nan", "inf", "-inf".
std::string exact_decimal(double value);

// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view between = ", ");
std::string join(const std::vector<int>& numbers, std::string_view between = ", ");

// "a, b, c, d and 12 more": the first four, each cut to 200 bytes. For names that come from a file.
std::string some_of(const std::vector<std::string>& names);

// For a terminal: control characters, U+0080 to U+009F among them, become `instead`, but those of `kept`.
// What is no UTF-8 stays.
std::string without_controls(std::string_view text, char instead, std::string_view kept = "");

// The text, or, if it has more than `most` bytes (at least 16), its first and last parts with " ... " between
// them, so many bytes in all or a few less: characters of UTF-8 stay whole.
std::string without_the_middle(std::string_view text, size_t most);

// Without the blanks at either end.
std::string_view trimmed(std::string_view text, std::string_view blanks = " \t");

// The whole text as a number of type T, as "-12" or "1.5e-3", without blanks or a plus; false, and the value
// is not to be used, if it is none.
template <class T>
bool parse(std::string_view text, T& value) {
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && stopped == text.data() + text.size();
}

}  // namespace retort
