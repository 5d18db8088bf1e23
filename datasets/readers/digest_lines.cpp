#include "datasets/readers/digest_lines.h"

#include <algorithm>
#include <span>

#include "engine/base/cache_folder.h"

namespace retort {
namespace {

constexpr size_t digest_line = 17;  // 16 digits and a line end

}  // namespace

std::string with_digest(std::string text) {
  const std::string digest = digest_of(text);
  return std::move(text) + digest + "\n";
}

DigestLines::DigestLines(const std::string& text, const std::string& name)
    : bytes_(std::as_bytes(std::span(text.data(), text.size())), name) {
  const std::string_view all = text;
  const size_t end = all.size() < digest_line ? 0 : all.size() - digest_line;
  check(
      all.size() > digest_line && all.back() == '\n' && digest_of(all.substr(0, end)) == all.substr(end, 16),
      Fault::input, name,
      ": is damaged, or no file of this program: its last line is not the digest of the others");
}

void DigestLines::next() {
  line_ = bytes_.line("a line");
}

std::string DigestLines::word() {
  const size_t end = std::min(line_.find(' '), line_.size());
  const std::string word(line_.substr(0, end));
  line_.remove_prefix(std::min(end + 1, line_.size()));
  return word;
}

std::string DigestLines::value(std::string_view key) {
  next();
  const std::string found = word();
  check(found == key, Fault::input, bytes_.file(), ": byte ", bytes_.position(), ": ", in_quotes(found),
        " where ", key, " belongs");
  return rest();
}

size_t DigestLines::count(std::string_view key) {
  uint64_t n = 0;
  check(parse(value(key), n) && n <= bytes_.left() / 2, Fault::input, bytes_.file(), ": byte ",
        bytes_.position(), ": no number of lines that could follow ", key);
  return size_t(n);
}

}  // namespace retort
