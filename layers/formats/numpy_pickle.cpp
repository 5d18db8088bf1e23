#include "layers/formats/numpy_pickle.h"

#include <algorithm>
#include <optional>

#include "engine/base/byte_reader.h"
#include "engine/base/pickle_array.h"

namespace retort {

namespace {

using Kind = PickleValue::Kind;

std::optional<DType> type_of(const PickleArray& array) {
  if (array.kind == 'f') {
    if (array.bytes == 2) return DType::f16;
    if (array.bytes == 4) return DType::f32;
    if (array.bytes == 8) return DType::f64;
  }
  if (array.kind == 'i' && array.bytes == 4) return DType::i32;
  if (array.kind == 'i' && array.bytes == 8) return DType::i64;
  if (array.kind == 'u' && array.bytes == 1) return DType::u8;
  return std::nullopt;
}

bool is_array(const Pickle& pickle, const PickleValue& value) {
  const std::string callee = pickle.callee_of(value);
  return callee.starts_with("numpy.") &&
         (callee.ends_with(".multiarray._reconstruct") || callee.ends_with(".numeric._frombuffer"));
}

bool has_arrays(const Pickle& pickle, const PickleValue& dict) {
  for (size_t i = 1; i < dict.items.size(); i += 2)
    if (is_array(pickle, pickle[dict.items[i]])) return true;
  return false;
}

// The dict that holds the arrays; nullptr if there is none.
const PickleValue* dict_of_arrays(const Pickle& pickle) {
  const PickleValue& root = pickle[pickle.root];
  if (root.kind != Kind::dict) return nullptr;
  for (const char* usual : {"model", "blobs"}) {
    const PickleValue* inner = pickle.find(root, usual);
    if (inner && inner->kind == Kind::dict && has_arrays(pickle, *inner)) return inner;
  }
  return has_arrays(pickle, root) ? &root : nullptr;
}

}  // namespace

SafeTensors parse_numpy_pickle(std::span<const std::byte> file, const std::string& name,
                               const std::string& entry) {
  const Pickle pickle = read_pickle(file, name, 0);
  const PickleValue* const dict = dict_of_arrays(pickle);
  check(dict, Fault::input, name,
        ": is a pickle, but not one of torch.save, nor one of numpy arrays by name as detectron2 writes "
        "them; expected weights: save the state_dict() with torch.save");
  check(pickle.size == file.size(), Fault::input, name, ": ", file.size() - pickle.size,
        " bytes follow the pickle's end, expected none");
  std::string prefix = entry.empty() ? "" : entry + ".";
  std::replace(prefix.begin(), prefix.end(), '/', '.');
  std::map<std::string, const PickleValue*> values;  // of equal keys the last counts
  for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const PickleValue& key = pickle[dict->items[i]];
    if (key.kind == Kind::text && key.text.size() <= longest_tensor_name && key.text.starts_with(prefix) &&
        key.text.size() > prefix.size())
      values[std::string(key.text.substr(prefix.size()))] = &pickle[dict->items[i + 1]];
  }
  check(!values.empty(), Fault::input, name, ": no names begin with ", in_quotes(prefix), " for the entry ",
        in_quotes(entry));
  SafeTensors result;
  uint64_t taken = 0;  // one array's bytes may be named many times
  for (const auto& [key, value] : values) {
    if (!is_array(pickle, *value)) {
      result.left_out.push_back({key, "is no numpy array"});
      continue;
    }
    PickleArray array = array_of(pickle, *value, name, "array " + in_quotes(key));
    taken += array.data.size();
    check(taken <= file.size(), Fault::input, name, ": array ", in_quotes(key),
          ": the arrays are larger than the file");
    if (const std::optional<DType> type = type_of(array))
      result.tensors.push_back({key, *type, std::move(array.shape), std::move(array.data)});
    else
      result.left_out.push_back({key, text("has elements of type ", array.kind, array.bytes,
                                           ", expected a float type or u1, i4, i8")});
  }
  return result;
}

}  // namespace retort
