// Python pickles as plain values. Nothing that a pickle asks for is called, constructed or imported: a call
// or an object becomes a value that says whose it would be, for the reader to understand or to leave.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

struct PickleValue {
  enum class Kind : uint8_t {
    none,
    boolean,  // integer: 0 or 1
    integer,  // integer
    real,     // real
    text,     // text: str, or bytes that Python 2 called str; escapes of protocol 0 stay as they are
    bytes,    // text
    tuple,    // items
    list,     // items; also objects of any class to which items are appended
    dict,     // items: key, value, key, value, ...; of equal keys the last counts. Also objects of any class
              // of which items are set
    global,   // items: module and name, both text; a class or function that was named, not called
    call,     // items: what would be called, the tuple of its arguments, and the object's state if it has one
    persistent,  // items: the persistent id, for whoever keeps such objects
    opaque,      // a set, or an integer of more than 8 bytes
  };
  Kind kind = Kind::none;
  int64_t integer = 0;
  double real = 0;
  std::string_view text;  // lies in the bytes that were read
  std::vector<uint32_t> items;
};

// Values by index; they may refer to each other in circles.
struct Pickle {
  std::deque<PickleValue> values;
  uint32_t root = 0;
  uint64_t size = 0;  // bytes up to and with the STOP

  const PickleValue& operator[](uint32_t index) const { return values[index]; }
  // "module.name" of a global; empty for another value.
  std::string name_of(const PickleValue& global) const;
  // "module.name" of what a call would call; empty for another value.
  std::string callee_of(const PickleValue& call) const;
  // A dict's value under a text key; nullptr if there is none.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;
};

// Reads the pickle at the beginning of `bytes`: protocols 0 to 5 without out-of-band buffers.
// collections.OrderedDict becomes a dict. Fault::input naming file and byte for whatever is damaged or larger
// than the bounds (1,000,000 values). start: where `bytes` begins in the file.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& file, uint64_t start);

}  // namespace retort
