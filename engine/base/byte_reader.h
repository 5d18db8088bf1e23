// What the readers of foreign files share: a cursor that never leaves the bytes it was given, and names from
// files made fit for a message.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

// Names come from files: a message must stay one line of bounded length that a terminal can show.
inline std::string in_quotes(std::string_view name) {
  return "'" + without_controls(name.substr(0, 100), '?') + (name.size() > 100 ? "...'" : "'");
}

// Reads little-endian numbers and pieces in turn. Running out of bytes is Fault::input naming the file, the
// place and what was to be read.
class ByteReader {
 public:
  // start: where `bytes` begins in the file, for messages.
  ByteReader(std::span<const std::byte> bytes, std::string file, uint64_t start = 0)
      : bytes_(bytes), file_(std::move(file)), start_(start) {}

  template <class T>
  T number(const char* what) {
    static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in the file");
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> take(uint64_t count, const char* what) {
    check(count <= left(), Fault::input, file_, ": byte ", position(), ": ", what, " of ", count,
          " bytes, but only ", left(), " follow; the file is truncated or corrupt");
    const auto piece = bytes_.subspan(at_, count);
    at_ += count;
    return piece;
  }

  std::string_view text(uint64_t count, const char* what) {
    const auto piece = take(count, what);
    return {reinterpret_cast<const char*>(piece.data()), piece.size()};
  }

  // Up to the next line end, which is skipped.
  std::string_view line(const char* what) {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, left());
    const size_t end = rest.find('\n');
    check(end != rest.npos, Fault::input, file_, ": byte ", position(), ": ", what,
          " has no end; the file is truncated or corrupt");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  uint64_t left() const { return bytes_.size() - at_; }
  uint64_t offset() const { return at_; }             // within the bytes given
  uint64_t position() const { return start_ + at_; }  // within the file
  const std::string& file() const { return file_; }

 private:
  std::span<const std::byte> bytes_;
  std::string file_;
  uint64_t start_, at_ = 0;
};

}  // namespace retort
