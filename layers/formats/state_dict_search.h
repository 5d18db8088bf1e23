// Where in a checkpoint the weights are, and which of its values are tensors.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/pickle.h"

namespace retort {

// What a value stands for, looked at through parameters and tensors of subclasses, which are their tensor.
struct TensorValue {
  enum class Kind {
    none,      // nothing that is a tensor
    dense,     // made by torch._utils._rebuild_tensor, _v2 or _v3 from `arguments`
    not_taken  // an array or tensor of a kind that is not read, or an object that may be one: `why`
  };
  Kind kind = Kind::none;
  std::string callee;                      // "torch._utils._rebuild_tensor_v2"
  const PickleValue* arguments = nullptr;  // a tuple
  std::string why;
};
TensorValue tensor_of(const Pickle& pickle, const PickleValue& value);

struct StateDict {
  std::string path;  // "ema/model"; empty: the file's own dict
  std::map<std::string, const PickleValue*> entries;
};

struct FoundStateDict {
  StateDict dict;
  std::vector<std::string> notes;  // for the user: where else weights are
};

// The dict, or whole module, that holds the network: averaged weights before raw ones, a student before
// others, the names that training programs use (state_dict, model, net, ...) before the file's own dict, that
// before other names, teachers and what optimizers keep last. `entry` ("ema/model") names the place; below a
// dict it may end in what names begin with ("state_dict/teacher"). Fault::input, listing what there is, if
// there is none or no clear one.
FoundStateDict find_state_dict(const Pickle& pickle, const std::string& file, const std::string& entry);

// How likely the weights under a name ("state_dict_ema", "teacher") are those that are wanted; the lower the
// better.
enum class NameRank { averaged, student, usual, top, other, teacher, training };
NameRank rank_of_name(std::string_view name);

// The classes of objects in the pickle that stay unread, sorted; without those that every other checkpoint
// has.
std::vector<std::string> unread_objects(const Pickle& pickle);

}  // namespace retort
