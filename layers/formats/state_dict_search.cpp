#include "layers/formats/state_dict_search.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/base/byte_reader.h"

namespace retort {

namespace {

using Kind = PickleValue::Kind;
constexpr int deepest = 8;
constexpr const char* usual_names[] = {"state_dict", "model_state_dict", "model_state", "model",  "net",
                                       "network",    "student",          "teacher",     "module", "weights"};

class Search {
 public:
  Search(const Pickle& pickle, const std::string& file) : pickle_(pickle), file_(file) {}

  const PickleValue* below(const PickleValue& value, const std::string& path, int depth) {
    if (value.kind != Kind::dict || depth > deepest || !visited_.insert(&value).second) return nullptr;
    std::map<std::string_view, const PickleValue*> dicts;
    bool has_tensors = false;
    for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const PickleValue &key = pickle_[value.items[i]], &content = pickle_[value.items[i + 1]];
      if (key.kind != Kind::text) continue;
      if (content.kind == Kind::dict) dicts[key.text] = &content;
      has_tensors = has_tensors || tensor_of(pickle_, content);
    }
    const auto inside = [&](std::string_view key) {
      return path + (path.empty() ? "" : "/") + std::string(key);
    };
    for (const char* name : usual_names) {
      const auto found = dicts.find(name);
      if (found == dicts.end()) continue;
      if (const PickleValue* dict = below(*found->second, inside(name), depth + 1)) return dict;
    }
    if (has_tensors) return &value;
    const PickleValue* only = nullptr;
    std::string only_path;
    for (const auto& [key, content] : dicts) {
      const PickleValue* dict = below(*content, inside(key), depth + 1);
      if (!dict) continue;
      check(!only, Fault::input, file_, ": weights are found under ", in_quotes(only_path), " and ",
            in_quotes(inside(key)), "; `retort import` can be told which (--entry)");
      only = dict;
      only_path = inside(key);
    }
    return only;
  }

 private:
  const Pickle& pickle_;
  const std::string& file_;
  std::set<const PickleValue*> visited_;  // dicts may hold each other in circles
};

std::string keys_of(const Pickle& pickle, const PickleValue& dict) {
  std::string all;
  for (size_t i = 0; i < dict.items.size() && i < 40; i += 2) {
    const PickleValue& key = pickle[dict.items[i]];
    if (key.kind == Kind::text) all += (all.empty() ? "" : ", ") + in_quotes(key.text);
  }
  return all.empty() ? "no names" : all + (dict.items.size() > 40 ? " and more" : "");
}

}  // namespace

const PickleValue* tensor_of(const Pickle& pickle, const PickleValue& value) {
  const PickleValue* found = &value;
  for (int i = 0; i < 3 && found->kind == Kind::call; ++i) {
    const PickleValue& arguments = pickle[found->items[1]];
    if (pickle.name_of(pickle[found->items[0]]) != "torch._utils._rebuild_parameter") return found;
    if (arguments.items.empty()) return nullptr;
    found = &pickle[arguments.items[0]];
  }
  return nullptr;
}

const PickleValue& find_state_dict(const Pickle& pickle, const std::string& file, const std::string& entry) {
  const PickleValue* root = &pickle[pickle.root];
  check(root->kind == Kind::dict, Fault::input, file,
        ": holds no dict, expected a state dict or a dict that contains one; save the model's state_dict()");
  for (std::string_view rest = entry; !rest.empty();) {
    const std::string_view key = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
    const PickleValue* next = pickle.find(*root, key);
    check(next && next->kind == Kind::dict, Fault::input, file, ": no dict ", in_quotes(key),
          " for the entry ", in_quotes(entry), "; there is ", keys_of(pickle, *root));
    root = next;
  }
  const PickleValue* dict = Search(pickle, file).below(*root, entry, 0);
  check(dict, Fault::input, file, ": no weights are found in it, only ", keys_of(pickle, *root));
  return *dict;
}

}  // namespace retort
