#include "datasets/formats/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/file_kind.h"
#include "engine/kernels/numbers/half.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little,
              "elements are read and written as they lie in memory");

constexpr int64_t max_header = 10'000;  // NumPy's own limit
constexpr size_t max_rank = 8;
constexpr char magic[] = "\x93NUMPY";
constexpr int64_t magic_bytes = 6;

struct Element {
  const char* code;
  DType type;
};

constexpr Element elements[] = {{"<f4", DType::f32}, {"<f8", DType::f64}, {"<f2", DType::f16},
                                {"<i4", DType::i32}, {"<i8", DType::i64}, {"|u1", DType::u8}};

// Bytes of an array of this shape; nothing if they do not fit 63 bits.
std::optional<int64_t> bytes_of(const std::vector<int64_t>& shape, DType type) {
  auto bytes = int64_t(size_of(type));
  for (int64_t extent : shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  return bytes;
}

// The header is a Python dictionary with exactly three entries in any order:
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(const std::string& file, std::string_view text, int64_t offset)
      : file_(file), text_(text), offset_(offset) {}

  void parse(NpyArray& array) {
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const size_t at = skip_spaces();
      const std::string_view key = quoted();
      expect(':');
      bool* seen = nullptr;
      if (key == "descr") {
        array.type = element_type();
        seen = &descr;
      } else if (key == "fortran_order") {
        read_order();
        seen = &order;
      } else if (key == "shape") {
        array.shape = extents();
        seen = &shape;
      } else {
        fail_at(at, "key '", key, "', expected 'descr', 'fortran_order' or 'shape'");
      }
      if (*seen) fail_at(at, "a second '", key, "'");
      *seen = true;
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (skip_spaces() != text_.size()) fail_at(at_, "more text after the dictionary");
    if (!descr || !order || !shape)
      fail_at(0, "no '", !descr ? "descr" : !order ? "fortran_order" : "shape", "'");
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail_at(size_t at, const Parts&... parts) const {
    fail(Fault::input, file_, ": .npy header at byte ", offset_ + int64_t(at), ": ", parts...);
  }

  size_t skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_;
  }
  bool accept(char c) {
    if (skip_spaces() == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail_at(at_, "expected '", c, "'");
  }
  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect(quote);
    const size_t end = text_.find(quote, at_);
    if (end == text_.npos) fail_at(at_, "a string without an end");
    const std::string_view value = text_.substr(at_, end - at_);
    at_ = end + 1;
    return value;
  }
  bool accept_word(std::string_view word) {
    skip_spaces();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  DType element_type() {
    const size_t at = skip_spaces();
    if (at < text_.size() && text_[at] == '[')
      fail_at(at, "structured elements, expected one of <f4 <f8 <f2 <i4 <i8 |u1");
    const std::string_view code = quoted();
    for (const Element& element : elements)
      if (code == element.code) return element.type;
    if (!code.empty() && code[0] == '>')
      fail_at(at, "big-endian elements '", code,
              "', expected little-endian: save x.astype(x.dtype.newbyteorder('<'))");
    fail_at(at, "elements '", code, "', expected one of <f4 <f8 <f2 <i4 <i8 |u1");
  }

  void read_order() {
    const size_t at = skip_spaces();
    if (accept_word("False")) return;
    if (accept_word("True")) fail_at(at, "Fortran order, expected C order: save numpy.ascontiguousarray(x)");
    fail_at(at, "expected False or True");
  }

  std::vector<int64_t> extents() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      const size_t at = skip_spaces();
      int64_t extent = 0;
      const auto [end, error] = std::from_chars(text_.data() + at, text_.data() + text_.size(), extent);
      if (error != std::errc{} || extent < 0) fail_at(at, "expected an extent of 0 or more");
      at_ = size_t(end - text_.data());
      if (shape.size() == max_rank) fail_at(at, "more than ", max_rank, " dimensions");
      shape.push_back(extent);
      if (!accept(',')) {
        // (3) is a number in Python, not a shape.
        if (shape.size() == 1) fail_at(at_, "expected ','");
        expect(')');
        break;
      }
    }
    return shape;
  }

  const std::string& file_;
  std::string_view text_;
  int64_t offset_;  // of the text in the file
  size_t at_ = 0;
};

}  // namespace

std::vector<double> NpyArray::reals() const {
  std::vector<double> all(static_cast<size_t>(size()));
  if (type == DType::f32) std::copy_n(values<float>().begin(), all.size(), all.begin());
  if (type == DType::f64) std::copy_n(values<double>().begin(), all.size(), all.begin());
  if (type == DType::f16) {
    const auto* halves = reinterpret_cast<const uint16_t*>(data.data());
    for (size_t i = 0; i < all.size(); ++i) all[i] = double(float_of(halves[i]));
  }
  check(is_real(), "npy: an array of ", type, " read as real numbers");
  return all;
}

bool NpyArray::is_real() const {
  return type == DType::f32 || type == DType::f64 || type == DType::f16;
}

int64_t NpyArray::size() const {
  return int64_t(data.size() / size_of(type));
}

std::string shape_text(const NpyArray& array) {
  std::string all;
  for (const int64_t extent : array.shape) all += (all.empty() ? "" : ", ") + std::to_string(extent);
  return text(array.type, " [", all, "]");
}

NpyArray read_npy(const fs::path& path) {
  InputFile file(path);
  unsigned char start[12] = {};
  check(file.size() >= 10, Fault::input, file.name(), ": ", file.size(), " bytes, too short for a .npy file");
  file.read(start, 10);
  if (std::memcmp(start, magic, magic_bytes) != 0) {
    const std::vector<std::byte> beginning = file.beginning();
    const std::string what = described(kind_of_file(beginning), beginning);
    check(what.empty(), Fault::input, file.name(), ": not a .npy file but ", what);
    fail(Fault::input, file.name(), ": not a .npy file, its first six bytes are not \\x93NUMPY");
  }
  const int version = start[6];
  check(version >= 1 && version <= 3 && start[7] == 0, Fault::input, file.name(), ": .npy version ", version,
        '.', int(start[7]), " at byte 6, expected 1.0, 2.0 or 3.0");
  int64_t header_bytes = start[8] + 256 * start[9], offset = 10;
  if (version > 1) {
    file.read(start + 10, 2);
    header_bytes += (int64_t(start[10]) << 16) + (int64_t(start[11]) << 24);
    offset = 12;
  }
  check(header_bytes <= max_header, Fault::input, file.name(), ": .npy header of ", with_commas(header_bytes),
        " bytes at byte 8, expected at most ", with_commas(max_header));
  std::string header(size_t(header_bytes), ' ');
  file.read(header.data(), header_bytes);

  NpyArray array;
  HeaderParser(file.name(), header, offset).parse(array);
  const std::optional<int64_t> bytes = bytes_of(array.shape, array.type);
  check(bytes.has_value(), Fault::input, file.name(),
        ": the shape in its .npy header is larger than any file");
  const int64_t found = file.size() - offset - header_bytes;
  check(found == *bytes, Fault::input, file.name(), ": ", with_commas(found), " bytes of data from byte ",
        with_commas(offset + header_bytes), ", expected ", with_commas(*bytes), " from its shape and type");
  array.data.resize(size_t(*bytes));
  file.read(array.data.data(), *bytes);
  return array;
}

void write_npy(const fs::path& path, DType type, const std::vector<int64_t>& shape,
               std::span<const std::byte> data) {
  const Element* element = nullptr;
  for (const Element& e : elements)
    if (e.type == type) element = &e;
  check(element != nullptr, "npy: arrays of ", type, " cannot be written");
  check(shape.size() <= max_rank && bytes_of(shape, type) == int64_t(data.size()), "npy: ", path.string(),
        ": ", data.size(), " bytes do not fit the shape");
  std::string header = text("{'descr': '", element->code, "', 'fortran_order': False, 'shape': (");
  for (size_t i = 0; i < shape.size(); ++i)
    header += text(i ? " " : "", shape[i], i + 1 < shape.size() || i == 0 ? "," : "");
  header += "), }";
  // The data begins at a multiple of 64; the header ends with a line feed.
  const size_t before = magic_bytes + 4;
  header.resize((before + header.size() + 1 + 63) / 64 * 64 - before, ' ');
  header.back() = '\n';
  const char prefix[] = {
      '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, char(header.size() & 255), char(header.size() >> 8)};

  AtomicFile file(path);
  file.write(std::string_view(prefix, sizeof prefix));
  file.write(header);
  file.write(data);
  file.commit();
}

}  // namespace retort
