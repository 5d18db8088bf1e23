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

// Python's pickle of 0x1950a86a20f9469cfc6c, by which the stream of pickles begins.
constexpr uint8_t stream_magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
constexpr uint64_t stream_version = 1001;
constexpr uint64_t spare_bytes = uint64_t{64} << 20;  // of tensors larger than the file, by strides of zero

const PickleRules& rules() {
  static const PickleRules all = {
      .calls = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
                "torch._utils._rebuild_parameter"},
      // What training programs keep beside the weights: settings, numbers of numpy, paths, dates.
      .ignored = {"argparse.Namespace",
                  "yacs.config.CfgNode",
                  "collections.defaultdict",
                  "collections.Counter",
                  "builtins.set",
                  "__builtin__.set",
                  "builtins.frozenset",
                  "__builtin__.frozenset",
                  "builtins.bytearray",
                  "builtins.complex",
                  "_codecs.encode",
                  "numpy.dtype",
                  "numpy.ndarray",
                  "numpy.core.multiarray.scalar",
                  "numpy._core.multiarray.scalar",
                  "numpy.core.multiarray._reconstruct",
                  "numpy._core.multiarray._reconstruct",
                  "torch.device",
                  "torch.Size",
                  "pathlib.PosixPath",
                  "pathlib.PurePosixPath",
                  "datetime.datetime",
                  "datetime.timedelta"}};
  return all;
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
};

// What a persistent id says: ('storage', type, key, location, elements[, view]); view, in old files, None or
// (key, offset, elements) of a part of the storage.
struct Storage {
  const StorageType* type;
  std::string key;
  uint64_t elements;
  uint64_t first = 0;  // where the view begins
};

class PytorchFile {
 public:
  PytorchFile(std::span<const std::byte> file, std::string name) : file_(file), name_(std::move(name)) {}

  SafeTensors read(const std::string& entry) {
    ZipArchive::looks_like_one(file_) ? open_archive() : open_stream();
    const PickleValue& dict = find_state_dict(pickle_, name_, entry);
    std::map<std::string_view, const PickleValue*> tensors;  // of equal names the last counts
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = pickle_[dict.items[i]];
      const PickleValue* tensor = tensor_of(pickle_, pickle_[dict.items[i + 1]]);
      if (key.kind == Kind::text && tensor) tensors[key.text] = tensor;
    }
    SafeTensors result;
    for (const auto& [key, tensor] : tensors) result.tensors.push_back(build(std::string(key), *tensor));
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
    require(folder.has_value(), "a zip archive without data.pkl, so not a file of torch.save");
    folder_ = *folder + "/";
    require(!archive_->contains(folder_ + "constants.pkl"),
            "holds a TorchScript program, not weights; save its state_dict() instead");
    if (archive_->contains(folder_ + "byteorder")) {
      const auto order = archive_->read(folder_ + "byteorder");
      const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
      require(text == "little", "its byte order is ", in_quotes(text), ", expected 'little'");
    }
    const auto pickle = archive_->read(folder_ + "data.pkl");
    pickle_ = read_pickle(pickle, name_, uint64_t(pickle.data() - file_.data()), rules());
    require(pickle_.size == pickle.size(), "data.pkl goes on behind its end");
  }

  // Five pickles: magic, version, the writer's system, the object, the storages' keys in the order in which
  // their data follow, each as a count of elements (i64) and the elements.
  void open_stream() {
    require(
        std::equal(
            std::begin(stream_magic), std::end(stream_magic), reinterpret_cast<const uint8_t*>(file_.data()),
            reinterpret_cast<const uint8_t*>(file_.data()) + std::min(file_.size(), sizeof stream_magic)),
        "a pickle, but not one of torch.save; save the state_dict() with torch.save");
    uint64_t at = sizeof stream_magic;
    const auto next = [&] {
      Pickle pickle = read_pickle(file_.subspan(at), name_, at, rules());
      at += pickle.size;
      return pickle;
    };
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
      if (value.kind != Kind::persistent) continue;
      const Storage storage = storage_of(value);
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

  // --- storages and tensors
  Storage storage_of(const PickleValue& persistent) const {
    const PickleValue& id = pickle_[persistent.items[0]];
    require(
        id.kind == Kind::tuple && (id.items.size() == 5 || id.items.size() == 6) &&
            pickle_[id.items[0]].kind == Kind::text && pickle_[id.items[0]].text == "storage",
        "refers to something that is no storage: a whole module was saved? Save its state_dict() instead");
    const PickleValue &type = pickle_[id.items[1]], &key = pickle_[id.items[2]],
                      &elements = pickle_[id.items[4]];
    require(type.kind == Kind::global && key.kind == Kind::text && elements.kind == Kind::integer &&
                elements.integer >= 0,
            "a storage that is described wrongly");
    Storage storage{nullptr, std::string(key.text), uint64_t(elements.integer)};
    std::string type_name = pickle_.name_of(type);
    if (type_name.starts_with("torch.cuda.")) type_name.erase(6, 5);
    for (const StorageType& known : storage_types) {
      if (type_name == known.name) storage.type = &known;
    }
    require(storage.type, "a storage of type ", in_quotes(type_name), ", which is not known");
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

  // arguments: (storage, offset, shape, strides, ...). Element i,j,... is storage[offset + i stride0 + ...].
  HostTensor build(const std::string& name, const PickleValue& tensor) {
    const PickleValue& arguments = pickle_[tensor.items[1]];
    require(arguments.items.size() >= 4 && pickle_[arguments.items[0]].kind == Kind::persistent, "tensor ",
            in_quotes(name), ": is not made from a storage, an offset, a shape and strides");
    const Storage storage = storage_of(pickle_[arguments.items[0]]);
    const uint64_t offset = size_in(pickle_[arguments.items[1]], "a tensor's offset");
    const std::vector<uint64_t> shape = sizes_in(pickle_[arguments.items[2]], name, "shape");
    const std::vector<uint64_t> strides = sizes_in(pickle_[arguments.items[3]], name, "strides");
    require(shape.size() == strides.size(), "tensor ", in_quotes(name), ": ", shape.size(), " extents but ",
            strides.size(), " strides");
    require(storage.type->type.has_value(), "tensor ", in_quotes(name), ": its elements are of type ",
            storage.type->name, ", expected a float type or u8, i32, i64");
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
  // A safetensors file of more than 100 MB of header could begin so as well; that is refused anyway.
  const bool pickle = file.size() >= 2 && file[0] == std::byte{0x80} && file[1] >= std::byte{2} &&
                      file[1] <= std::byte{5} && !(file.size() > 8 && file[8] == std::byte{'{'});
  return pickle || ZipArchive::looks_like_one(file);
}

SafeTensors parse_pytorch(std::span<const std::byte> file, const std::string& name,
                          const std::string& entry) {
  return PytorchFile(file, name).read(entry);
}

}  // namespace retort
