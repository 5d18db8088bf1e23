#include "layers/formats/pytorch_file.h"

#include <algorithm>
#include <map>
#include <optional>

#include "engine/base/byte_reader.h"
#include "engine/base/pickle.h"
#include "engine/base/zip_archive.h"
#include "layers/formats/state_dict_search.h"

namespace retort {

namespace {

using Kind = PickleValue::Kind;

// The stream of pickles begins with that of 0x1950a86a20f9469cfc6c: its bytes, or its digits before
// protocol 2.
constexpr uint8_t stream_number[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
constexpr std::string_view stream_digits = "L119547037146038801333356L\n";
constexpr uint64_t stream_version = 1001;
constexpr uint64_t spare_bytes = uint64_t{64} << 20;  // of tensors larger than the file, by strides of zero

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Behind the protocol and the frame, which not every protocol has.
bool is_stream(std::span<const std::byte> file) {
  std::string_view rest = text_of(file);
  if (rest.size() >= 2 && rest[0] == '\x80') rest.remove_prefix(2);
  if (rest.size() >= 9 && rest[0] == '\x95') rest.remove_prefix(9);
  return rest.starts_with(stream_digits) ||
         rest.starts_with(
             std::string_view(reinterpret_cast<const char*>(stream_number), sizeof stream_number));
}

struct StorageType {
  const char* name;
  uint64_t width;
  std::optional<DType> type;  // nothing: not a type of ours
};
constexpr StorageType storage_types[] = {
    {"torch.DoubleStorage", 8, DType::f64},
    {"torch.FloatStorage", 4, DType::f32},
    {"torch.HalfStorage", 2, DType::f16},
    {"torch.BFloat16Storage", 2, DType::bf16},
    {"torch.LongStorage", 8, DType::i64},
    {"torch.IntStorage", 4, DType::i32},
    {"torch.ByteStorage", 1, DType::u8},
    {"torch.BoolStorage", 1, DType::u8},
    {"torch.ShortStorage", 2, std::nullopt},
    {"torch.CharStorage", 1, std::nullopt},
    {"torch.ComplexFloatStorage", 8, std::nullopt},
    {"torch.ComplexDoubleStorage", 16, std::nullopt},
    {"torch.QInt8Storage", 1, std::nullopt},
    {"torch.QUInt8Storage", 1, std::nullopt},
    {"torch.QInt32Storage", 4, std::nullopt},
    {"torch.QUInt4x2Storage", 1, std::nullopt},
    {"torch.QUInt2x4Storage", 1, std::nullopt},
    {"torch.storage.UntypedStorage", 1, std::nullopt},
    {"torch.storage._UntypedStorage", 1, std::nullopt},
};

// What a persistent id says: ('storage', type, key, location, elements[, view]); view, in old files, None or
// (key, offset, elements) of a part of the storage.
struct Storage {
  const StorageType* type;  // nullptr: not known
  std::string type_name;
  std::string key;
  uint64_t elements;
  uint64_t first = 0;  // where the view begins
};

class PytorchFile {
 public:
  PytorchFile(std::span<const std::byte> file, std::string name) : file_(file), name_(std::move(name)) {}

  SafeTensors read(const std::string& entry) {
    ZipArchive::looks_like_one(file_) ? open_archive() : open_stream();
    FoundStateDict found = find_state_dict(pickle_, name_, entry);
    SafeTensors result;
    result.notes = std::move(found.notes);
    for (const auto& [name, value] : found.dict.entries) {
      const TensorValue tensor = tensor_of(pickle_, *value);
      if (tensor.kind == TensorValue::Kind::not_taken)
        result.left_out.push_back({name, tensor.why});
      else if (tensor.kind == TensorValue::Kind::dense)
        take(name, tensor, result);
    }
    if (result.tensors.empty() && !result.left_out.empty())
      fail(Fault::input, name_, ": ", in_quotes(result.left_out[0].name), " ", result.left_out[0].why);
    std::string objects;
    for (const std::string& name : unread_objects(pickle_)) objects += (objects.empty() ? "" : ", ") + name;
    if (objects.size() > 300) objects = objects.substr(0, 300) + "...";
    if (!objects.empty()) result.notes.push_back("left unread, nothing was run: objects of " + objects);
    return result;
  }

 private:
  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    check(ok, Fault::input, name_, ": ", parts...);
  }

  // --- the two containers
  void open_archive() {
    archive_.emplace(file_, name_);
    const std::string ending = "/data.pkl";
    std::optional<std::string> folder;
    for (const std::string& entry : archive_->names()) {
      if (!entry.ends_with(ending) || entry.find('/') != entry.size() - ending.size()) continue;
      require(!folder, "holds several data.pkl, expected one");
      folder = entry.substr(0, entry.size() - ending.size());
    }
    require(folder.has_value(), "a zip archive without data.pkl, so not a file of torch.save",
            what_is_inside());
    folder_ = *folder + "/";
    require(!archive_->contains(folder_ + "constants.pkl"),
            "holds a TorchScript program, not weights; save its state_dict() instead");
    if (archive_->contains(folder_ + "byteorder")) {
      const auto order = archive_->read(folder_ + "byteorder");
      const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
      require(text == "little", "its byte order is ", in_quotes(text), ", expected 'little'");
    }
    const auto pickle = archive_->read(folder_ + "data.pkl");
    pickle_ = read_pickle(pickle, name_, uint64_t(pickle.data() - file_.data()));
    require(pickle_.size == pickle.size(), "data.pkl goes on behind its end");
  }

  // Five pickles: magic, version, the writer's system, the object, the storages' keys in the order in which
  // their data follow, each as a count of elements (i64) and the elements.
  void open_stream() {
    require(is_stream(file_), "a pickle, but not one of torch.save; save the state_dict() with torch.save");
    uint64_t at = 0;
    const auto next = [&] {
      Pickle pickle = read_pickle(file_.subspan(at), name_, at);
      at += pickle.size;
      return pickle;
    };
    next();  // its number, see is_stream()
    const Pickle version = next();
    require(version[version.root].kind == Kind::integer && version[version.root].integer == stream_version,
            "its container has another version than ", stream_version);
    const Pickle system = next();
    const PickleValue* little = system.find(system[system.root], "little_endian");
    require(little && little->kind == Kind::boolean && little->integer == 1,
            "was written big-endian, or does not say; load and save it with a current PyTorch");
    pickle_ = next();
    std::map<std::string, Storage> known;
    for (const PickleValue& value : pickle_.values) {
      if (value.kind != Kind::persistent || !is_storage(value)) continue;  // or a module's source
      const Storage storage = storage_of(value);
      require(storage.type, "a storage of type ", in_quotes(storage.type_name), ", which is not known");
      const auto [found, added] = known.emplace(storage.key, storage);
      require(added || (found->second.type == storage.type && found->second.elements == storage.elements),
              "storage ", in_quotes(storage.key), " is described in two ways");
    }
    const Pickle keys = next();
    require(keys[keys.root].kind == Kind::list, "the list of its storages is no list");
    ByteReader data(file_.subspan(at), name_, at);
    for (uint32_t index : keys[keys.root].items) {
      const std::string key(keys[index].text);
      const auto found = known.find(key);
      require(keys[index].kind == Kind::text && found != known.end(), "the storage ", in_quotes(key),
              " is listed but never used");
      const uint64_t place = data.position();
      const auto elements = data.number<uint64_t>("a storage's size");
      require(elements == found->second.elements, "byte ", place, ": storage ", in_quotes(key), " has ",
              elements, " elements, expected ", found->second.elements);
      require(elements <= data.left() / found->second.type->width, "byte ", place, ": storage ",
              in_quotes(key), " of ", elements,
              " elements does not fit into the file; it is truncated or corrupt");
      require(stream_.emplace(key, data.take(elements * found->second.type->width, "a storage's elements"))
                  .second,
              "the storage ", in_quotes(key), " is listed twice");
    }
    require(data.left() == 0, data.left(), " bytes follow its last storage, expected none");
  }

  // What else a zip archive may be, and what to do with it.
  std::string what_is_inside() const {
    for (const std::string& entry : archive_->names()) {
      if (entry.ends_with(".npy")) return ": NumPy's .npz? Save its arrays with torch.save";
      if (entry.ends_with(".pth") || entry.ends_with(".pt") || entry.ends_with(".safetensors"))
        return "; it holds " + in_quotes(entry) + ": unzip it first";
      if (entry.ends_with(".h5") || entry.ends_with(".keras"))
        return "; weights of Keras? Those of PyTorch and safetensors are read";
    }
    return "";
  }

  // --- storages and tensors
  bool is_storage(const PickleValue& persistent) const {
    const PickleValue& id = pickle_[persistent.items[0]];
    return id.kind == Kind::tuple && (id.items.size() == 5 || id.items.size() == 6) &&
           pickle_[id.items[0]].kind == Kind::text && pickle_[id.items[0]].text == "storage";
  }

  Storage storage_of(const PickleValue& persistent) const {
    require(is_storage(persistent), "a tensor of something that is no storage");
    const PickleValue& id = pickle_[persistent.items[0]];
    const PickleValue &type = pickle_[id.items[1]], &key = pickle_[id.items[2]],
                      &elements = pickle_[id.items[4]];
    require(type.kind == Kind::global && key.kind == Kind::text && key.text.size() <= longest_tensor_name &&
                elements.kind == Kind::integer && elements.integer >= 0,
            "a storage that is described wrongly");
    Storage storage{nullptr, pickle_.name_of(type), std::string(key.text), uint64_t(elements.integer)};
    std::string& type_name = storage.type_name;
    if (type_name.starts_with("torch.cuda.")) type_name.erase(6, 5);
    for (const StorageType& known : storage_types) {
      if (type_name == known.name) storage.type = &known;
    }
    if (id.items.size() == 6 && pickle_[id.items[5]].kind != Kind::none) {
      const PickleValue& view = pickle_[id.items[5]];
      require(view.kind == Kind::tuple && view.items.size() == 3,
              "a view of a storage that is described wrongly");
      storage.first = size_in(pickle_[view.items[1]], "the place of a view");
      require(storage.first <= storage.elements, "a view that begins behind the end of its storage");
    }
    return storage;
  }

  std::span<const std::byte> data_of(const Storage& storage, const std::string& tensor) {
    if (!archive_) {
      const auto found = stream_.find(storage.key);
      require(found != stream_.end(), "tensor ", in_quotes(tensor), ": its storage ", in_quotes(storage.key),
              " is missing");
      return found->second;
    }
    auto& data = read_[storage.key];
    if (!data) data = archive_->read(folder_ + "data/" + storage.key);
    require(storage.elements == data->size() / storage.type->width && data->size() % storage.type->width == 0,
            "tensor ", in_quotes(tensor), ": its storage ", in_quotes(storage.key), " has ", data->size(),
            " bytes, expected ", storage.elements, " times ", storage.type->width);
    return *data;
  }

  uint64_t size_in(const PickleValue& value, const char* what) const {
    require(value.kind == Kind::integer && value.integer >= 0, what, " is no size");
    return uint64_t(value.integer);
  }

  std::vector<uint64_t> sizes_in(const PickleValue& value, const std::string& tensor,
                                 const char* what) const {
    require(value.kind == Kind::tuple && value.items.size() <= 8, "tensor ", in_quotes(tensor), ": its ",
            what, " is no tuple of at most 8 sizes");
    std::vector<uint64_t> sizes;
    for (uint32_t index : value.items) sizes.push_back(size_in(pickle_[index], what));
    return sizes;
  }

  // Builds the tensor, or notes why not.
  void take(const std::string& name, const TensorValue& tensor, SafeTensors& result) {
    const PickleValue& arguments = *tensor.arguments;
    require(arguments.items.size() >= 4 && pickle_[arguments.items[0]].kind == Kind::persistent, "tensor ",
            in_quotes(name), ": is not made from a storage, an offset, a shape and strides");
    const Storage storage = storage_of(pickle_[arguments.items[0]]);
    std::string type = storage.type_name;
    // The third version keeps bytes, and their type apart.
    if (tensor.callee.ends_with("_v3") && arguments.items.size() >= 7)
      type = pickle_.name_of(pickle_[arguments.items[6]]);
    if (storage.type && storage.type->type)
      result.tensors.push_back(build(name, arguments, storage));
    else
      result.left_out.push_back(
          {name, text("has elements of type ", type, ", expected a float type or u8, i32, i64")});
  }

  // arguments: (storage, offset, shape, strides, ...). Element i,j,... is storage[offset + i stride0 + ...].
  HostTensor build(const std::string& name, const PickleValue& arguments, const Storage& storage) {
    const uint64_t offset = size_in(pickle_[arguments.items[1]], "a tensor's offset");
    const std::vector<uint64_t> shape = sizes_in(pickle_[arguments.items[2]], name, "shape");
    const std::vector<uint64_t> strides = sizes_in(pickle_[arguments.items[3]], name, "strides");
    require(shape.size() == strides.size(), "tensor ", in_quotes(name), ": ", shape.size(), " extents but ",
            strides.size(), " strides");
    const auto data = data_of(storage, name);
    const uint64_t width = storage.type->width;

    uint64_t count = 1, last = 0;
    bool overflow = __builtin_add_overflow(storage.first, offset, &last);
    for (size_t d = 0; d < shape.size(); ++d) {
      uint64_t reach = 0;
      overflow = overflow || __builtin_mul_overflow(count, shape[d], &count);
      if (shape[d] == 0) continue;
      overflow = overflow || __builtin_mul_overflow(shape[d] - 1, strides[d], &reach) ||
                 __builtin_add_overflow(last, reach, &last);
    }
    require(!overflow && (count == 0 || last < storage.elements), "tensor ", in_quotes(name),
            ": reaches out of its storage of ", storage.elements, " elements");
    // Shared storages and strides of 0 can make more of a file than it holds.
    budget_used_ += std::min(count, UINT64_MAX / 32) * width;
    require(count < UINT64_MAX / 32 && budget_used_ <= file_.size() + spare_bytes, "tensor ", in_quotes(name),
            ": the tensors are much larger than the file");

    HostTensor result{name, *storage.type->type, {shape.begin(), shape.end()}, {}};
    result.data.resize(count * width);
    if (count > 0) gather(data.data() + (storage.first + offset) * width, shape, strides, width, result.data);
    return result;
  }

  // Copies the elements in row-major order.
  static void gather(const std::byte* from, const std::vector<uint64_t>& shape,
                     const std::vector<uint64_t>& strides, uint64_t width, std::span<std::byte> to) {
    // The innermost extents that lie densely are copied as one run.
    size_t outer = shape.size();
    uint64_t run = 1;
    while (outer > 0 && (strides[outer - 1] == run || shape[outer - 1] == 1)) run *= shape[--outer];
    std::vector<uint64_t> index(outer, 0);
    uint64_t source = 0;
    for (uint64_t at = 0; at < to.size(); at += run * width) {
      std::memcpy(to.data() + at, from + source * width, run * width);
      for (size_t d = outer; d-- > 0;) {
        source += strides[d];
        if (++index[d] < shape[d]) break;
        source -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
  }

  std::span<const std::byte> file_;
  std::string name_;
  Pickle pickle_;
  uint64_t budget_used_ = 0;
  std::optional<ZipArchive> archive_;  // one of the two containers
  std::string folder_;
  std::map<std::string, std::optional<std::span<const std::byte>>> read_;  // of the archive, once checked
  std::map<std::string, std::span<const std::byte>> stream_;
};

}  // namespace

bool looks_like_pytorch(std::span<const std::byte> file) {
  return ZipArchive::looks_like_one(file) || is_stream(file);
}

SafeTensors parse_pytorch(std::span<const std::byte> file, const std::string& name,
                          const std::string& entry) {
  return PytorchFile(file, name).read(entry);
}

}  // namespace retort
