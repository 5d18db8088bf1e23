// Text files of our own that end in a line with their digest: lines of numbers, then a name to the line's
// end.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

std::string with_digest(std::string text);

// Fault::input, naming the file, unless the text ends in the digest of what comes before.
class DigestLines {
 public:
  DigestLines(const std::string& text, const std::string& name);

  void next();  // the next line
  template <class T>
  T number() {  // a number, and the blank behind it
    T value{};
    check(parse(word(), value), Fault::input, bytes_.file(), ": byte ", bytes_.position(),
          ": no number where one belongs");
    return value;
  }
  std::string word();
  std::string rest() { return std::string(line_); }
  // The next line, "KEY REST": the rest.
  std::string value(std::string_view key);
  // The next line, "KEY N": that many lines follow.
  size_t count(std::string_view key);

 private:
  ByteReader bytes_;
  std::string_view line_;
};

}  // namespace retort
