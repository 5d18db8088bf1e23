#include "engine/base/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <system_error>
#include <unordered_map>

#include "engine/base/byte_reader.h"
#include "engine/base/pickle_opcodes.h"

namespace retort {

namespace {

using Kind = PickleValue::Kind;

// Checkpoints need some thousands; lists of a loss per step some ten thousands.
constexpr size_t most_values = 1'000'000, most_operations = 8'000'000, longest_name = 1000;

class Interpreter {
 public:
  Interpreter(std::span<const std::byte> bytes, const std::string& file, uint64_t start)
      : reader_(bytes, file, start) {}

  Pickle run() {
    for (size_t i = 0; i < most_operations; ++i) {
      at_ = reader_.position();
      const auto code = reader_.number<uint8_t>("the pickle's next operation");
      if (code == op_stop) {
        require(marks_.empty() && stack_.size() == 1, "the pickle ends with more or less than one value");
        pickle_.root = stack_[0];
        pickle_.size = reader_.offset();
        return std::move(pickle_);
      }
      step(code);
    }
    refuse("the pickle has more than ", most_operations, " operations");
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(Fault::input, reader_.file(), ": byte ", at_, ": ", parts...);
  }
  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    if (!ok) refuse(parts...);
  }

  void step(uint8_t code) {
    switch (code) {
      case op_proto: {
        const int protocol = reader_.number<uint8_t>("protocol");
        return require(protocol <= 5, "pickle protocol ", protocol, ", expected at most 5");
      }
      case op_frame:
        reader_.number<uint64_t>("frame");
        return;
      case op_mark:
        return marks_.push_back(stack_.size());
      case op_pop:
        if (!marks_.empty() && marks_.back() == stack_.size())
          marks_.pop_back();
        else
          pop();
        return;
      case op_pop_mark:
        pop_to_mark();
        return;
      case op_dup:
        require_values(1);
        return stack_.push_back(stack_.back());

      case op_none:
        return make(Kind::none);
      case op_newtrue:
      case op_newfalse:
        return make_integer(code == op_newtrue, Kind::boolean);
      case op_binint:
        return make_integer(reader_.number<int32_t>("integer"));
      case op_binint1:
        return make_integer(reader_.number<uint8_t>("integer"));
      case op_binint2:
        return make_integer(reader_.number<uint16_t>("integer"));
      case op_long1:
        return make_long(reader_.number<uint8_t>("integer's length"));
      case op_long4: {
        const auto length = reader_.number<int32_t>("integer's length");
        require(length >= 0, "an integer of ", length, " bytes");
        return make_long(uint64_t(length));
      }
      case op_binfloat:
        return make_real();
      case op_int:  // 00 and 01 were the truths before protocol 2
      case op_long:
        return make_decimal(reader_.line("integer"));
      case op_float:
        return make_decimal_real(reader_.line("float"));

      case op_string:
      case op_unicode:
        return make_line(reader_.line("text"), code == op_string);
      case op_short_binunicode:
      case op_short_binstring:
        return make_text(Kind::text, reader_.number<uint8_t>("text's length"));
      case op_binunicode:
      case op_binstring:
        return make_text(Kind::text, reader_.number<uint32_t>("text's length"));
      case op_binunicode8:
        return make_text(Kind::text, reader_.number<uint64_t>("text's length"));
      case op_short_binbytes:
        return make_text(Kind::bytes, reader_.number<uint8_t>("length"));
      case op_binbytes:
        return make_text(Kind::bytes, reader_.number<uint32_t>("length"));
      case op_binbytes8:
      case op_bytearray8:
        return make_text(Kind::bytes, reader_.number<uint64_t>("length"));

      case op_empty_tuple:
        return make(Kind::tuple);
      case op_tuple1:
      case op_tuple2:
      case op_tuple3:
        return make(Kind::tuple, pop_many(size_t(code - op_tuple1) + 1));
      case op_tuple:
        return make(Kind::tuple, pop_to_mark());
      case op_empty_list:
        return make(Kind::list);
      case op_list:
        return make(Kind::list, pop_to_mark());
      case op_empty_dict:
        return make(Kind::dict);
      case op_dict: {
        std::vector<uint32_t> items = pop_to_mark();
        require(items.size() % 2 == 0, "a dict with a key that has no value");
        return make(Kind::dict, std::move(items));
      }
      case op_empty_set:
        return make(Kind::opaque);
      case op_frozenset:
        pop_to_mark();
        return make(Kind::opaque);

      case op_append:
        return add_to(Kind::list, pop_many(1));
      case op_appends:
        return add_to(Kind::list, pop_to_mark());
      case op_setitem:
        return add_to(Kind::dict, pop_many(2));
      case op_setitems:
        return add_to(Kind::dict, pop_to_mark());
      case op_additems: {
        pop_to_mark();
        return require(top().kind == Kind::opaque || top().kind == Kind::call,
                       "items are added to what is no set");
      }

      case op_binput:
        return put(reader_.number<uint8_t>("memo index"));
      case op_long_binput:
        return put(reader_.number<uint32_t>("memo index"));
      case op_memoize:
        return put(uint32_t(memo_.size()));
      case op_put:
        return put(memo_index(reader_.line("memo index")));
      case op_get:
        return get(memo_index(reader_.line("memo index")));
      case op_binget:
        return get(reader_.number<uint8_t>("memo index"));
      case op_long_binget:
        return get(reader_.number<uint32_t>("memo index"));

      case op_global: {
        const std::string_view module = reader_.line("module's name"), name = reader_.line("global's name");
        return make_global(module, name);
      }
      case op_stack_global: {
        const std::vector<uint32_t> names = pop_many(2);
        const PickleValue &module = pickle_[names[0]], &name = pickle_[names[1]];
        require(module.kind == Kind::text && name.kind == Kind::text, "a global whose name is no text");
        require_short(module.text, name.text);
        return make(Kind::global, names);
      }
      case op_binpersid:
        return make(Kind::persistent, pop_many(1));
      case op_persid:
        make_line(reader_.line("persistent id"), false);
        return make(Kind::persistent, pop_many(1));
      case op_inst: {  // the arguments above the mark, the class in the stream
        const std::string_view module = reader_.line("module's name"), name = reader_.line("class's name");
        make(Kind::tuple, pop_to_mark());
        make_global(module, name);
        const std::vector<uint32_t> parts = pop_many(2);
        return call({parts[1], parts[0]});
      }
      case op_obj: {  // class and arguments above the mark
        std::vector<uint32_t> parts = pop_to_mark();
        require(!parts.empty(), "an object without a class");
        const uint32_t callee = parts[0];
        parts.erase(parts.begin());
        make(Kind::tuple, std::move(parts));
        return call({callee, pop_many(1)[0]});
      }
      case op_reduce:
      case op_newobj:
        return call(pop_many(2));
      case op_newobj_ex: {
        const std::vector<uint32_t> parts = pop_many(3);
        return call({parts[0], parts[1]});
      }
      case op_build:
        return build();
      default:
        refuse("pickle operation ", int(code),
               ", which checkpoints do not have; not a file of torch.save, or corrupt");
    }
  }

  // --- values
  void make(Kind kind, std::vector<uint32_t> items = {}) {
    require(pickle_.values.size() < most_values, "the pickle holds more than ", most_values, " values");
    stack_.push_back(uint32_t(pickle_.values.size()));
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    value.items = std::move(items);
  }
  void make_integer(int64_t integer, Kind kind = Kind::integer) {
    make(kind);
    top().integer = integer;
  }
  void make_text(Kind kind, uint64_t length) {
    const std::string_view text = reader_.text(length, "text");
    make(kind);
    top().text = text;
  }
  // Two's complement, little-endian, as few bytes as needed. What does not fit is no size or offset.
  void make_long(uint64_t length) {
    const auto bytes = reader_.take(length, "integer");
    if (length > 8) return make(Kind::opaque);
    uint64_t bits = length > 0 && (uint8_t(bytes.back()) & 0x80) ? ~uint64_t{0} : 0;
    for (size_t i = length; i-- > 0;) bits = bits << 8 | uint8_t(bytes[i]);
    make_integer(int64_t(bits));
  }
  void make_real() {  // big-endian, unlike everything else
    const auto bytes = reader_.take(8, "float");
    uint64_t bits = 0;
    for (std::byte b : bytes) bits = bits << 8 | uint8_t(b);
    make(Kind::real);
    top().real = std::bit_cast<double>(bits);
  }
  // --- lines of protocols 0 and 1
  void make_decimal(std::string_view line) {
    if (line == "00" || line == "01") return make_integer(line == "01", Kind::boolean);
    if (line.ends_with('L')) line.remove_suffix(1);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    require(end == line.data() + line.size() && !line.empty(), "the integer ", in_quotes(line));
    return error == std::errc{} ? make_integer(value) : make(Kind::opaque);
  }
  void make_decimal_real(std::string_view line) {
    double value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    require(end == line.data() + line.size() && !line.empty(), "the float ", in_quotes(line));
    make(Kind::real);
    top().real = value;
  }
  void make_line(std::string_view line, bool quoted) {
    if (quoted) {
      require(line.size() >= 2 && line.front() == line.back(), "text without its quotes");
      line = line.substr(1, line.size() - 2);
    }
    make(Kind::text);
    top().text = line;
  }
  uint32_t memo_index(std::string_view line) const {
    uint32_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    require(error == std::errc{} && end == line.data() + line.size(), "the memo index ", in_quotes(line));
    return index;
  }

  // Names are compared on every call.
  void require_short(std::string_view module, std::string_view name) const {
    require(module.size() + name.size() <= longest_name, "a global whose name has ",
            module.size() + name.size(), " characters");
  }
  void make_global(std::string_view module, std::string_view name) {
    require_short(module, name);
    make(Kind::text);
    top().text = module;
    make(Kind::text);
    top().text = name;
    make(Kind::global, pop_many(2));
  }

  // --- stack
  // Values above the innermost mark.
  size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  void require_values(size_t count) const {
    require(available() >= count, "the pickle takes ", count, " values from a stack of ", available());
  }
  PickleValue& top() {
    require_values(1);
    return pickle_.values[stack_.back()];
  }
  void pop() {
    require_values(1);
    stack_.pop_back();
  }
  std::vector<uint32_t> pop_many(size_t count) {
    require_values(count);
    std::vector<uint32_t> items(stack_.end() - std::ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<uint32_t> pop_to_mark() {
    require(!marks_.empty(), "the pickle asks for a mark that is not there");
    std::vector<uint32_t> items = pop_many(available());
    marks_.pop_back();
    return items;
  }

  // --- memo
  void put(uint32_t index) {
    require_values(1);
    require(memo_.size() < most_values || memo_.contains(index), "the pickle's memo has more than ",
            most_values, " entries");
    memo_[index] = stack_.back();
  }
  void get(uint32_t index) {
    const auto found = memo_.find(index);
    require(found != memo_.end(), "memo entry ", index, " is used but was never made");
    stack_.push_back(found->second);
  }

  // --- containers and calls
  // An object that is filled as lists or dicts are is one of those to us, whatever its class.
  void add_to(Kind kind, const std::vector<uint32_t>& items) {
    PickleValue& target = top();
    if (target.kind == Kind::call) {
      target.kind = kind;
      target.items.clear();
    }
    require(target.kind == kind, "items are added to what is no ", kind == Kind::list ? "list" : "dict");
    require(kind == Kind::list || items.size() % 2 == 0, "a dict with a key that has no value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  void call(std::vector<uint32_t> parts) {
    const PickleValue &callee = pickle_[parts[0]], &arguments = pickle_[parts[1]];
    require(arguments.kind == Kind::tuple, "the pickle calls something with what is no tuple of arguments");
    if (pickle_.name_of(callee) == "collections.OrderedDict") return make_ordered_dict(arguments);
    make(Kind::call, std::move(parts));
  }

  // OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it.
  void make_ordered_dict(const PickleValue& arguments) {
    std::vector<uint32_t> items;
    if (!arguments.items.empty()) {
      const PickleValue& pairs = pickle_[arguments.items[0]];
      require(arguments.items.size() == 1 && pairs.kind == Kind::list,
              "OrderedDict of what is no list of pairs");
      // One list may be given to many such calls.
      copied_ += pairs.items.size();
      require(copied_ <= most_values, "the pickle's OrderedDicts have more than ", most_values, " entries");
      for (uint32_t index : pairs.items) {
        const PickleValue& pair = pickle_[index];
        require((pair.kind == Kind::list || pair.kind == Kind::tuple) && pair.items.size() == 2,
                "OrderedDict of what is no list of pairs");
        items.insert(items.end(), pair.items.begin(), pair.items.end());
      }
    }
    make(Kind::dict, std::move(items));
  }

  // The attributes of an object: of a state dict its _metadata, of others whatever they keep.
  void build() {
    const uint32_t state = pop_many(1)[0];
    PickleValue& object = top();
    require(object.kind == Kind::call || object.kind == Kind::opaque || object.kind == Kind::list ||
                object.kind == Kind::dict,
            "the pickle sets attributes of what is no object");
    if (object.kind == Kind::call && object.items.size() == 2) object.items.push_back(state);
  }

  ByteReader reader_;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, uint32_t> memo_;
  size_t copied_ = 0;  // entries of OrderedDicts made from lists
  uint64_t at_ = 0;    // of the operation
};

}  // namespace

std::string Pickle::name_of(const PickleValue& global) const {
  if (global.kind != PickleValue::Kind::global) return "";
  return std::string(values[global.items[0]].text) + "." + std::string(values[global.items[1]].text);
}

std::string Pickle::callee_of(const PickleValue& call) const {
  return call.kind == PickleValue::Kind::call ? name_of(values[call.items[0]]) : "";
}

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleValue& found = values[dict.items[i - 2]];
    if (found.kind == PickleValue::Kind::text && found.text == key) return &values[dict.items[i - 1]];
  }
  return nullptr;
}

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& file, uint64_t start) {
  return Interpreter(bytes, file, start).run();
}

}  // namespace retort
