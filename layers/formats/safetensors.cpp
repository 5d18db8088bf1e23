#include "layers/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "engine/base/atomic_file.h"
#include "engine/base/byte_reader.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"

namespace retort {
namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "files are read and written as they lie in memory");

constexpr uint64_t header_limit = 100'000'000;  // as the format's own implementation
constexpr size_t hash_digits = 16;
const std::string metadata_key = "__metadata__", header_hash_key = "xxh3_header",
                  tensor_hashes_key = "xxh3_tensors";

struct TypeName {
  const char* name;
  uint64_t width;             // 0: less than a byte
  std::optional<DType> type;  // nothing: not a type of ours
};
constexpr TypeName type_names[] = {
    {"F64", 8, DType::f64},       {"F32", 4, DType::f32},       {"F16", 2, DType::f16},
    {"BF16", 2, DType::bf16},     {"I64", 8, DType::i64},       {"I32", 4, DType::i32},
    {"U8", 1, DType::u8},         {"BOOL", 1, DType::u8},       {"I8", 1, std::nullopt},
    {"I16", 2, std::nullopt},     {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt},     {"C64", 8, std::nullopt},     {"F8_E4M3", 1, std::nullopt},
    {"F8_E5M2", 1, std::nullopt}, {"F8_E8M0", 1, std::nullopt}, {"F6_E2M3", 0, std::nullopt},
    {"F6_E3M2", 0, std::nullopt}, {"F4", 0, std::nullopt},
};

std::string name_in_file(DType type) {
  for (const TypeName& known : type_names)
    if (known.type == type) return known.name;
  fail(Fault::internal, "safetensors: no name for element type ", type);
}

std::string list(const std::vector<uint64_t>& values) {
  std::string shown = "[";
  for (size_t i = 0; i < values.size() && i < 8; ++i) shown += (i ? ", " : "") + std::to_string(values[i]);
  return shown + (values.size() > 8 ? ", ...]" : "]");
}

// Elements times width, or nothing if that overflows.
std::optional<uint64_t> bytes_of(const std::vector<uint64_t>& shape, uint64_t width) {
  uint64_t product = width;
  // An extent of 0 makes an empty tensor, but the other extents still have to fit an int64_t.
  const bool empty = std::find(shape.begin(), shape.end(), 0u) != shape.end();
  for (uint64_t extent : shape) {
    if (extent > uint64_t(INT64_MAX)) return std::nullopt;
    if (!empty && __builtin_mul_overflow(product, extent, &product)) return std::nullopt;
  }
  return empty ? 0 : product;
}

struct Entry {
  std::string name;
  const TypeName* type = nullptr;
  std::optional<std::vector<uint64_t>> shape, offsets;
};

// Reads the header as it is parsed: nlohmann's own objects would silently keep one of two equal names.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;
  bool has_metadata = false;

  bool null() override { wrong("null"); }
  bool boolean(bool) override { wrong("a boolean"); }
  bool number_integer(number_integer_t value) override { wrong(text("the number ", value)); }
  bool number_float(number_float_t, const string_t&) override { wrong("a number with a fraction"); }
  bool binary(binary_t&) override { wrong("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!list_) wrong(text("the number ", value));
    list_->push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata) {
      metadata[key_] = value;
    } else if (place_ == Place::tensor && key_ == "dtype") {
      for (const TypeName& known : type_names)
        if (value == known.name) entries.back().type = &known;
      if (!entries.back().type)
        fail_here(text("dtype ", in_quotes(value), ", expected one of the format's, as F32 or BF16"));
    } else {
      wrong("a string");
    }
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::header;
    } else if (place_ == Place::header && key_ == metadata_key) {
      place_ = Place::metadata;
      has_metadata = true;
    } else if (place_ == Place::header) {
      place_ = Place::tensor;
      entries.push_back({.name = key_, .type = nullptr, .shape = {}, .offsets = {}});
    } else {
      wrong("an object");
    }
    return true;
  }

  bool key(string_t& name) override {
    if (place_ == Place::header) {
      check(name.size() <= longest_tensor_name, Fault::input, file_, ": header: a name of ", name.size(),
            " bytes, ", in_quotes(name), ", expected at most ", longest_tensor_name);
      if (!names_.insert(name).second)
        fail(Fault::input, file_, ": header: the name ", in_quotes(name), " occurs twice, expected once");
    } else if (place_ == Place::metadata) {
      if (metadata.contains(name))
        fail(Fault::input, file_, ": header: the metadata ", in_quotes(name), " occurs twice, expected once");
    } else {
      const Entry& entry = entries.back();
      if (name != "dtype" && name != "shape" && name != "data_offsets")
        fail_here(text("the key ", in_quotes(name), ", expected dtype, shape and data_offsets"));
      if ((name == "dtype" && entry.type) || (name == "shape" && entry.shape) ||
          (name == "data_offsets" && entry.offsets))
        fail_here(text(name, " twice, expected it once"));
    }
    key_ = name;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::tensor || key_ == "dtype" || list_) wrong("a list");
    list_ = &(key_ == "shape" ? entries.back().shape : entries.back().offsets).emplace();
    return true;
  }

  bool end_array() override {
    list_ = nullptr;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) {
      const Entry& entry = entries.back();
      const char* missing = !entry.type      ? "dtype"
                            : !entry.shape   ? "shape"
                            : !entry.offsets ? "data_offsets"
                                             : nullptr;
      if (missing)
        fail(Fault::input, file_, ": tensor ", in_quotes(entry.name), ": no ", missing,
             ", expected dtype, shape and data_offsets");
    }
    place_ = place_ == Place::header ? Place::outside : Place::header;
    return true;
  }

  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::detail::exception&) override {
    fail(Fault::input, file_, ": byte ", 8 + (position ? position - 1 : 0),
         ": the header is no valid JSON near ", in_quotes(last_token));
  }

 private:
  enum class Place { outside, header, metadata, tensor };

  [[noreturn]] void fail_here(const std::string& found) const {
    fail(Fault::input, file_, ": tensor ", in_quotes(entries.back().name), ": found ", found);
  }

  [[noreturn]] void wrong(const std::string& found) const {
    if (place_ == Place::tensor && key_ == "dtype") fail_here(text("dtype ", found, ", expected a string"));
    if (place_ == Place::tensor) fail_here(text(key_, " with ", found, ", expected a list of whole numbers"));
    if (place_ == Place::metadata)
      fail(Fault::input, file_, ": header: metadata ", in_quotes(key_), " is ", found, ", expected a string");
    fail(Fault::input, file_, ": header: ", in_quotes(key_), " is ", found, ", expected an object");
  }

  const std::string& file_;
  Place place_ = Place::outside;
  std::string key_;
  std::set<std::string> names_;
  std::vector<uint64_t>* list_ = nullptr;  // the list being read
};

// The header's text, once its length and outermost form are known to be right.
std::string_view header_of(std::span<const std::byte> file, const std::string& name) {
  check(file.size() >= 8, Fault::input, name, ": has ", file.size(),
        " bytes, expected a safetensors file of at least 10");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  check(length <= header_limit, Fault::input, name, ": byte 0: header length ", length, ", expected at most ",
        header_limit, "; is this a safetensors file?");
  check(length <= file.size() - 8, Fault::input, name, ": byte 0: header length ", length, ", but only ",
        file.size() - 8, " bytes follow; the file is truncated or no safetensors file");
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8, length);
  check(header.starts_with('{'), Fault::input, name, ": byte 8: ",
        header.empty() ? std::string("an empty header") : text("byte value ", int(uint8_t(header[0]))),
        ", expected the header's '{'");
  // The JSON parser takes a zero byte for the end of its input.
  const size_t zero = header.find('\0');
  check(zero == header.npos, Fault::input, name, ": byte ", 8 + zero, ": a zero byte inside the header");
  return header;
}

// The data begins at file byte `start`; leaves the entries in the order of their data.
void check_layout(std::vector<Entry>& entries, uint64_t start, uint64_t data_size, const std::string& file) {
  for (const Entry& entry : entries) {
    const std::vector<uint64_t>& offsets = *entry.offsets;
    check(offsets.size() == 2 && offsets[0] <= offsets[1], Fault::input, file, ": tensor ",
          in_quotes(entry.name), ": data_offsets ", list(offsets), ", expected [begin, end]");
    const std::optional<uint64_t> size = bytes_of(*entry.shape, std::max<uint64_t>(entry.type->width, 1));
    check(size.has_value(), Fault::input, file, ": tensor ", in_quotes(entry.name), ": the size of shape ",
          list(*entry.shape), " overflows");
    check(offsets[1] - offsets[0] == *size || entry.type->width == 0, Fault::input, file, ": tensor ",
          in_quotes(entry.name), ": data_offsets ", list(offsets), " span ", offsets[1] - offsets[0],
          " bytes, expected ", *size, " for ", entry.type->name, " ", list(*entry.shape));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return *a.offsets < *b.offsets; });
  uint64_t at = 0;
  for (const Entry& entry : entries) {
    const std::vector<uint64_t>& offsets = *entry.offsets;
    check(offsets[0] == at, Fault::input, file, ": tensor ", in_quotes(entry.name),
          ": its data begins at byte ", start, "+", offsets[0], ", expected ", start, "+", at,
          ": no holes, no overlap");
    check(offsets[1] <= data_size, Fault::input, file, ": tensor ", in_quotes(entry.name),
          ": its data ends at byte ", start, "+", offsets[1], ", but the file ends at ", start + data_size,
          "; the file is truncated");
    at = offsets[1];
  }
  check(at == data_size, Fault::input, file, ": the last tensor ends at byte ", start + at,
        ", but the file ends at ", start + data_size, ", expected the same");
}

// Where the 16 digits of the header's own hash stand. Quotes inside JSON strings are escaped, so this text
// can only be the entry itself; programs that put a space after the colon do not keep it findable.
size_t find_header_hash(std::string_view header) {
  const size_t at = header.find('"' + header_hash_key + "\":\"");
  if (at == header.npos) return header.npos;
  const size_t digits = at + header_hash_key.size() + 4;
  return digits + hash_digits < header.size() && header[digits + hash_digits] == '"' ? digits : header.npos;
}

std::string hash_of_header(std::string_view header, size_t digits) {
  std::string blank(header);
  blank.replace(digits, hash_digits, hash_digits, ' ');
  return hash_of(std::as_bytes(std::span(blank)));
}

void check_header_hash(const HeaderReader& reader, std::string_view header, const std::string& file) {
  const std::string& header_hash = reader.metadata.at(header_hash_key);
  const size_t digits = find_header_hash(header);
  const std::string found = digits == header.npos ? "no such hash" : hash_of_header(header, digits);
  check(found == header_hash, Fault::input, file, ": header: hash ", found, ", expected ",
        in_quotes(header_hash),
        ": the file is corrupt, or another program rewrote it and kept our xxh3 metadata: leave both out");
}

void check_hashes(const HeaderReader& reader, std::string_view header, const SafeTensors& result,
                  const std::string& file) {
  check_header_hash(reader, header, file);
  std::string_view rest = reader.metadata.at(tensor_hashes_key);
  const size_t expected_size = result.tensors.empty() ? 0 : result.tensors.size() * (hash_digits + 1) - 1;
  check(rest.size() == expected_size, Fault::input, file, ": header: ", tensor_hashes_key, " has ",
        rest.size(), " characters, expected ", expected_size, " for ", result.tensors.size(), " tensors");
  uint64_t at = 8 + header.size();
  for (const HostTensor& tensor : result.tensors) {
    const std::string hash = hash_of(tensor.data);
    check(hash == rest.substr(0, hash_digits), Fault::input, file, ": tensor ", in_quotes(tensor.name),
          ", bytes ", at, " to ", at + tensor.data.size(), ": hash ", hash, ", expected ",
          rest.substr(0, hash_digits), ": the data is corrupt");
    rest.remove_prefix(std::min(rest.size(), hash_digits + 1));
    at += tensor.data.size();
  }
}

void check_writable(const std::map<std::string, std::string>& metadata,
                    const std::vector<TensorView>& tensors) {
  for (const auto& [key, value] : metadata)
    check(key != header_hash_key && key != tensor_hashes_key, "write_safetensors: the metadata key ", key,
          " is reserved");
  std::set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    check(names.insert(tensor.name).second && tensor.name != metadata_key, "write_safetensors: tensor name ",
          in_quotes(tensor.name), " is reserved or occurs twice");
    const std::vector<uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
    const std::optional<uint64_t> size =
        bytes_of(shape, size_of(tensor.type));  // a negative extent is huge here
    check(size && *size == tensor.data.size(), "write_safetensors: tensor ", in_quotes(tensor.name), " of ",
          tensor.type, " ", list(shape), " comes with ", tensor.data.size(), " bytes");
  }
}

std::string header_for(const std::map<std::string, std::string>& metadata,
                       const std::vector<TensorView>& tensors) {
  nlohmann::ordered_json header, notes = metadata;
  std::string hashes;
  for (const TensorView& tensor : tensors) hashes += (hashes.empty() ? "" : " ") + hash_of(tensor.data);
  notes[header_hash_key] = std::string(hash_digits, ' ');
  notes[tensor_hashes_key] = hashes;
  header[metadata_key] = notes;
  uint64_t at = 0;
  for (const TensorView& tensor : tensors) {
    header[tensor.name] = {{"dtype", name_in_file(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {at, at + tensor.data.size()}}};
    at += tensor.data.size();
  }
  std::string out;
  try {
    out = header.dump();
  } catch (const nlohmann::json::exception& error) {
    fail(Fault::internal, "write_safetensors: a name or metadata is not UTF-8 (", error.what(), ")");
  }
  out.append((8 - out.size() % 8) % 8, ' ');
  check(out.size() <= header_limit, "write_safetensors: the header has ", out.size(), " bytes, at most ",
        header_limit, " are allowed");
  const size_t digits = find_header_hash(out);
  check(digits != out.npos, "write_safetensors: the header's hash has no place");
  return out.replace(digits, hash_digits, hash_of_header(out, digits));
}

}  // namespace

const HostTensor* SafeTensors::find(std::string_view name) const {
  for (const HostTensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

SafeTensors parse_safetensors(std::span<const std::byte> file, const std::string& name) {
  const std::string_view header = header_of(file, name);
  HeaderReader reader(name);
  json::sax_parse(header.begin(), header.end(), &reader);
  const std::span<const std::byte> data = file.subspan(8 + header.size());
  check_layout(reader.entries, 8 + header.size(), data.size(), name);

  SafeTensors result;
  for (const Entry& entry : reader.entries) {
    const auto bytes = data.subspan((*entry.offsets)[0], (*entry.offsets)[1] - (*entry.offsets)[0]);
    if (entry.type->type)
      result.tensors.push_back({entry.name,
                                *entry.type->type,
                                {entry.shape->begin(), entry.shape->end()},
                                {bytes.begin(), bytes.end()}});
    else
      result.left_out.push_back({entry.name, text("has elements of type ", entry.type->name,
                                                  ", expected a float type or U8, I32, I64")});
  }
  const bool header_hash = reader.metadata.contains(header_hash_key);
  const bool tensor_hashes = reader.metadata.contains(tensor_hashes_key);
  // We write both: one alone means that the other's name was damaged.
  check(header_hash == tensor_hashes, Fault::input, name, ": header: only ",
        header_hash ? header_hash_key : tensor_hashes_key,
        " of the two hashes is there, expected both or none");
  if (header_hash) check_hashes(reader, header, result, name);
  result.verified = header_hash;
  result.metadata = std::move(reader.metadata);
  result.metadata.erase(header_hash_key);
  result.metadata.erase(tensor_hashes_key);
  return result;
}

SafeTensors read_safetensors(const std::filesystem::path& path) {
  return parse_safetensors(read_file(path), path.string());
}

std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path) {
  InputFile file(path);
  uint64_t length = 0;
  std::vector<std::byte> begin(sizeof length);
  if (file.size() >= 8) {
    file.read(begin.data(), sizeof length);
    std::memcpy(&length, begin.data(), sizeof length);
    if (length <= header_limit && int64_t(length) <= file.size() - 8) {
      begin.resize(sizeof length + length);
      file.read(begin.data() + sizeof length, int64_t(length));
    }
  } else {
    begin.clear();
  }
  const std::string_view header = header_of(begin, file.name());
  HeaderReader reader(file.name());
  json::sax_parse(header.begin(), header.end(), &reader);
  if (reader.metadata.contains(header_hash_key)) check_header_hash(reader, header, file.name());
  reader.metadata.erase(header_hash_key);
  reader.metadata.erase(tensor_hashes_key);
  return std::move(reader.metadata);
}

int64_t write_safetensors(const std::filesystem::path& path,
                          const std::map<std::string, std::string>& metadata, std::vector<TensorView> tensors,
                          const std::filesystem::path& keep) {
  check_writable(metadata, tensors);
  // Wide elements first: with the header padded to 8, every tensor lies aligned to its element.
  std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return size_of(a.type) != size_of(b.type) ? size_of(a.type) > size_of(b.type) : a.name < b.name;
  });
  const std::string header = header_for(metadata, tensors);
  const uint64_t length = header.size();
  AtomicFile file(path, keep);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  size_t bytes = sizeof length + header.size();
  for (const TensorView& tensor : tensors) {
    file.write(tensor.data);
    bytes += tensor.data.size();
  }
  file.commit();
  return int64_t(bytes);
}

}  // namespace retort
