#include "engine/base/pickle_array.h"

#include <algorithm>
#include <cstring>

#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {
namespace {

using Kind = PickleValue::Kind;

bool ends_in(const std::string& callee, const std::string& name) {
  return callee == "numpy.core." + name || callee == "numpy._core." + name;
}

class Rebuilder {
 public:
  Rebuilder(const Pickle& pickle, const std::string& file, const std::string& what)
      : pickle_(pickle), file_(file), what_(what) {}

  PickleArray array(const PickleValue& value) {
    const std::string callee = pickle_.callee_of(value);
    if (ends_in(callee, "multiarray._reconstruct")) {
      // The call makes an empty array; its state is (version, shape, dtype, is in Fortran's order, bytes).
      check_that(value.items.size() == 3, "has no state");
      const PickleValue& state = item(value, 2, Kind::tuple);
      check_that(state.items.size() == 5, "has a state of another kind");
      const PickleValue& fortran = pickle_[state.items[3]];
      check_that((fortran.kind == Kind::boolean || fortran.kind == Kind::integer) && fortran.integer == 0,
                 "is in Fortran's order");
      return filled(pickle_[state.items[4]], pickle_[state.items[2]], pickle_[state.items[1]]);
    }
    check_that(ends_in(callee, "numeric._frombuffer"), "is no array");
    const PickleValue& arguments = item(value, 1, Kind::tuple);
    check_that(arguments.items.size() == 4, "has other arguments than expected");
    const PickleValue& order = pickle_[arguments.items[3]];
    check_that(order.kind == Kind::text && order.text == "C", "is in Fortran's order");
    return filled(pickle_[arguments.items[0]], pickle_[arguments.items[1]], pickle_[arguments.items[2]]);
  }

 private:
  void check_that(bool ok, const std::string& found) const {
    check(ok, Fault::input, file_, ": ", what_, " ", found,
          "; expected a numpy array of little-endian numbers in C order");
  }
  const PickleValue& item(const PickleValue& value, size_t i, Kind kind) const {
    check_that(i < value.items.size() && pickle_[value.items[i]].kind == kind, "is built in an unknown way");
    return pickle_[value.items[i]];
  }

  PickleArray filled(const PickleValue& bytes, const PickleValue& type, const PickleValue& shape) {
    PickleArray array;
    read_type(type, array);
    check_that(shape.kind == Kind::tuple, "has no shape");
    check_that(shape.items.size() <= 8, "has more than 8 axes");
    uint64_t expected = uint64_t(array.bytes);
    for (const uint32_t at : shape.items) {
      const PickleValue& extent = pickle_[at];
      check_that(extent.kind == Kind::integer && extent.integer >= 0 && extent.integer <= int64_t{1} << 40,
                 "has a shape that makes no sense");
      array.shape.push_back(extent.integer);
      check_that(extent.integer == 0 || expected <= (uint64_t{1} << 46) / uint64_t(extent.integer),
                 "is too large");
      expected *= uint64_t(extent.integer);
    }
    read_bytes(bytes, array.data);
    check(array.data.size() == expected, Fault::input, file_, ": ", what_, " has ", array.data.size(),
          " bytes, its shape says ", expected);
    return array;
  }

  // numpy.dtype("u1", ...) with the state (3, byte order, ...).
  void read_type(const PickleValue& type, PickleArray& array) const {
    check_that(pickle_.callee_of(type) == "numpy.dtype", "has elements of no known type");
    const PickleValue& arguments = item(type, 1, Kind::tuple);
    check_that(!arguments.items.empty() && pickle_[arguments.items[0]].kind == Kind::text,
               "has elements of no known type");
    const std::string_view name = pickle_[arguments.items[0]].text;
    const bool known = name.size() == 2 && (name[0] == 'u' || name[0] == 'i' || name[0] == 'f') &&
                       parse(name.substr(1), array.bytes) &&
                       (array.bytes == 1 || array.bytes == 2 || array.bytes == 4 || array.bytes == 8);
    check_that(known, "has elements of type " + in_quotes(name));
    array.kind = name[0];
    if (type.items.size() < 3) return;
    const PickleValue& state = item(type, 2, Kind::tuple);
    check_that(state.items.size() >= 2 && pickle_[state.items[1]].kind == Kind::text,
               "has elements of no known type");
    check_that(array.bytes == 1 || pickle_[state.items[1]].text == "<", "is big-endian");
  }

  // Bytes as they are, or as protocol 2 has those of Python 3: _codecs.encode(text, "latin1").
  void read_bytes(const PickleValue& value, std::vector<std::byte>& data) const {
    if (value.kind == Kind::bytes || value.kind == Kind::text) {
      const auto* begin = reinterpret_cast<const std::byte*>(value.text.data());
      data.assign(begin, begin + value.text.size());
      return;
    }
    check_that(pickle_.callee_of(value) == "_codecs.encode", "has no bytes");
    const PickleValue& text = item(item(value, 1, Kind::tuple), 0, Kind::text);
    for (size_t i = 0; i < text.text.size(); ++i) {
      const auto lead = uint8_t(text.text[i]);
      if (lead < 0x80) {
        data.push_back(std::byte(lead));
        continue;
      }
      // Two bytes of UTF-8 for U+0080 to U+00FF.
      check_that((lead == 0xc2 || lead == 0xc3) && i + 1 < text.text.size(), "has text where bytes belong");
      data.push_back(std::byte((lead & 3) << 6 | (uint8_t(text.text[++i]) & 0x3f)));
    }
  }

  const Pickle& pickle_;
  const std::string& file_;
  const std::string& what_;
};

}  // namespace

PickleArray array_of(const Pickle& pickle, const PickleValue& value, const std::string& file,
                     const std::string& what) {
  return Rebuilder(pickle, file, what).array(value);
}

}  // namespace retort
