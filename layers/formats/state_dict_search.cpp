#include "layers/formats/state_dict_search.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <unordered_map>

#include "engine/base/byte_reader.h"
#include "engine/base/file.h"
#include "layers/formats/safetensors.h"

namespace retort {

namespace {

using Kind = PickleValue::Kind;
constexpr int deepest = 8, deepest_module = 64;
constexpr size_t most_entries = 1'000'000, most_name_bytes = 16 << 20;
// The likelier, the earlier.
constexpr std::array usual_names = {"state_dict", "model_state_dict", "model_state", "model",  "net",
                                    "network",    "module",           "weights",     "params", "backbone"};

// "state_dict_ema" as state, dict, ema.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      words.back() += char(std::tolower(static_cast<unsigned char>(c)));
    else
      words.emplace_back();
  }
  return words;
}

bool any_of_words(const std::vector<std::string>& words, const std::set<std::string_view>& known) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& w) { return known.contains(w); });
}

// A key that may be a tensor's name. What lies under one that is longer is none that is wanted.
bool is_name(const PickleValue& key) {
  return key.kind == Kind::text && key.text.size() <= longest_tensor_name;
}

std::string shown(const std::string& path) {
  return path.empty() ? "the top of the file" : in_quotes(path);
}

std::string keys_of(const Pickle& pickle, const PickleValue& dict) {
  std::string all;
  for (size_t i = 0; i < dict.items.size() && i < 40; i += 2) {
    const PickleValue& key = pickle[dict.items[i]];
    if (key.kind == Kind::text) all += (all.empty() ? "" : ", ") + in_quotes(key.text);
  }
  return all.empty() ? "no names" : all + (dict.items.size() > 40 ? " and more" : "");
}

// What a whole torch.nn.Module holds.
struct ModuleParts {
  const PickleValue *parameters, *buffers, *modules;  // buffers: nullptr if there are none
};

// Which objects are whole modules. Many may share one state, which is looked through once.
class Modules {
 public:
  explicit Modules(const Pickle& pickle) : pickle_(pickle) {}

  // Nothing for another value.
  const std::optional<ModuleParts>& of(const PickleValue& value) {
    static const std::optional<ModuleParts> none;
    if (value.kind != Kind::call || value.items.size() < 3) return none;
    const PickleValue& state = pickle_[value.items[2]];
    if (state.kind != Kind::dict) return none;
    const auto [found, added] = known_.try_emplace(&state);
    if (added) {
      const ModuleParts parts{pickle_.find(state, "_parameters"), pickle_.find(state, "_buffers"),
                              pickle_.find(state, "_modules")};
      if (parts.parameters && parts.modules) found->second = parts;
    }
    return found->second;
  }

 private:
  const Pickle& pickle_;
  std::unordered_map<const PickleValue*, std::optional<ModuleParts>> known_;  // by state
};

struct Candidate {
  StateDict dict;
  bool tensors = false;  // at least one that is taken
  bool network = false;  // with names of layers' weights
  size_t norms = 0;      // batch norms' statistics
  NameRank rank = NameRank::other;
};

class Search {
 public:
  Search(const Pickle& pickle, const std::string& file) : pickle_(pickle), file_(file), modules_(pickle) {}

  std::vector<Candidate> candidates;

  void below(const PickleValue& value, const std::string& path, int depth) {
    if (depth > deepest || !visited_.insert(&value).second) return;
    if (const auto& module = modules_.of(value)) {
      StateDict dict{path, {}};
      flatten(*module, "", dict, 0);
      return add(std::move(dict));
    }
    if (value.kind != Kind::dict) return;
    count_name(path.size());
    StateDict dict{path, {}};
    bool any = false;
    for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const PickleValue &key = pickle_[value.items[i]], &content = pickle_[value.items[i + 1]];
      if (!is_name(key)) continue;
      count_name(key.text.size());
      dict.entries[std::string(key.text)] = &content;
      any = any || (!modules_.of(content) && tensor_of(pickle_, content).kind != TensorValue::Kind::none);
    }
    const auto inside = dict.entries;
    if (any) add(std::move(dict));
    for (const auto& [key, content] : inside)
      below(*content, path + (path.empty() ? "" : "/") + key, depth + 1);
  }

 private:
  // One text in the file may be part of many names.
  void count_name(size_t bytes) {
    name_bytes_ += bytes;
    check(name_bytes_ <= most_name_bytes + pickle_.size, Fault::input, file_, ": its names and paths have ",
          with_commas(int64_t(name_bytes_)), " bytes, expected at most ", with_commas(most_name_bytes),
          " more than its pickle; save the model's state_dict()");
  }

  // What the module's state_dict() would hold.
  void flatten(const ModuleParts& module, const std::string& prefix, StateDict& dict, int depth) {
    check(depth <= deepest_module, Fault::input, file_, ": modules in modules, deeper than ", deepest_module);
    for (const PickleValue* own : {module.parameters, module.buffers, module.modules}) {
      if (!own || own->kind != Kind::dict) continue;
      for (size_t i = 0; i + 1 < own->items.size(); i += 2) {
        const PickleValue &key = pickle_[own->items[i]], &content = pickle_[own->items[i + 1]];
        check(++entries_ <= most_entries, Fault::input, file_, ": its modules hold more than ", most_entries,
              " entries");
        if (!is_name(key) || content.kind == Kind::none) continue;
        const std::string name = prefix + std::string(key.text);
        check(name.size() <= longest_tensor_name, Fault::input, file_, ": its modules hold a name of ",
              name.size(), " bytes, ", in_quotes(name), ", expected at most ", longest_tensor_name);
        count_name(name.size());
        if (const auto& child = modules_.of(content))
          flatten(*child, name + ".", dict, depth + 1);
        else
          dict.entries[name] = &content;
      }
    }
  }

  void add(StateDict dict) {
    Candidate found;
    for (const auto& [name, value] : dict.entries) {
      if (tensor_of(pickle_, *value).kind != TensorValue::Kind::dense) continue;
      found.tensors = true;
      found.network = found.network || name.ends_with(".weight");
      found.norms += name.ends_with("running_var");
    }
    found.rank = rank_of_path(dict);
    found.dict = std::move(dict);
    candidates.push_back(std::move(found));
  }

  // Of all names on the way the one that says most.
  static NameRank rank_of_path(const StateDict& dict) {
    NameRank rank = NameRank::top;
    if (!dict.path.empty()) {
      rank = NameRank::other;
      bool teacher = false, training = false;
      for (std::string_view rest = dict.path; !rest.empty();) {
        const std::string_view name = rest.substr(0, rest.find('/'));
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
        const NameRank here = rank_of_name(name);
        teacher = teacher || here == NameRank::teacher;
        training = training || here == NameRank::training;
        rank = std::min(rank, here);
      }
      if (teacher) rank = NameRank::teacher;
      if (training) rank = NameRank::training;
    }
    // torch.optim.swa_utils.AveragedModel counts so.
    if (dict.entries.contains("n_averaged") && rank < NameRank::teacher) rank = NameRank::averaged;
    return rank;
  }

  const Pickle& pickle_;
  const std::string& file_;
  Modules modules_;
  std::set<const PickleValue*> visited_;  // dicts may hold each other in circles
  size_t entries_ = 0;
  uint64_t name_bytes_ = 0;
};

size_t place_in_usual(const std::string& path) {
  const std::string last = path.substr(path.rfind('/') + 1);
  return size_t(std::find(usual_names.begin(), usual_names.end(), last) - usual_names.begin());
}

// An average of the parameters alone is no network: its batch norms have no statistics.
void put_back_incomplete_averages(std::vector<Candidate>& all, std::vector<std::string>& notes) {
  size_t norms = 0;
  for (const Candidate& c : all)
    if (c.rank < NameRank::teacher && c.rank != NameRank::averaged) norms = std::max(norms, c.norms);
  for (Candidate& c : all) {
    if (c.rank != NameRank::averaged || c.norms >= norms) continue;
    c.rank = NameRank::other;
    notes.push_back(text("the averaged weights under ", shown(c.dict.path), " have no statistics for ",
                         norms - c.norms, " of ", norms, " batch norms and are left"));
  }
}

FoundStateDict choose(std::vector<Candidate> all, const std::string& file) {
  FoundStateDict result;
  const bool networks = std::any_of(all.begin(), all.end(), [](const auto& c) { return c.network; });
  const bool tensors = std::any_of(all.begin(), all.end(), [](const auto& c) { return c.tensors; });
  std::erase_if(all, [&](const Candidate& c) { return networks ? !c.network : tensors && !c.tensors; });
  if (std::any_of(all.begin(), all.end(), [](const auto& c) { return c.rank != NameRank::training; }))
    std::erase_if(all, [](const Candidate& c) { return c.rank == NameRank::training; });
  put_back_incomplete_averages(all, result.notes);
  std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(a.rank, place_in_usual(a.dict.path)) < std::pair(b.rank, place_in_usual(b.dict.path));
  });
  const Candidate& best = all[0];
  std::string others;
  size_t equals = 0;
  for (size_t i = 1; i < all.size(); ++i) {
    if (i <= 8)
      others += (i == 1 ? "" : i + 1 == all.size() ? " and " : ", ") + shown(all[i].dict.path);
    else if (i + 1 == all.size())
      others += text(" and ", all.size() - 9, " more");
    equals +=
        all[i].rank == best.rank &&
        (best.rank != NameRank::usual || place_in_usual(all[i].dict.path) == place_in_usual(best.dict.path));
  }
  check(equals == 0, Fault::input, file, ": weights are found under ", shown(best.dict.path), " and ", others,
        "; `retort import` can be told which (--entry)");
  if (all.size() > 1) {
    result.notes.push_back(text("took the ", best.rank == NameRank::averaged ? "averaged " : "",
                                "weights under ", shown(best.dict.path), "; there are others under ", others,
                                ", which `retort import --entry` takes"));
  }
  result.dict = std::move(all[0].dict);
  return result;
}

}  // namespace

NameRank rank_of_name(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  if (any_of_words(words, {"optim", "optimizer", "optimizers", "optimiser", "momentum", "grad", "grads",
                           "exp", "scheduler", "criterion", "loss", "scaler", "discriminator"}))
    return NameRank::training;
  if (any_of_words(words, {"teacher", "teachers", "tea"})) return NameRank::teacher;
  if (any_of_words(words, {"ema", "swa", "avg", "average", "averaged", "averages", "polyak", "shadow",
                           "modelema", "emamodel"}))
    return NameRank::averaged;
  if (any_of_words(words, {"student", "stu"})) return NameRank::student;
  if (std::find(usual_names.begin(), usual_names.end(), name) != usual_names.end()) return NameRank::usual;
  return NameRank::other;
}

TensorValue tensor_of(const Pickle& pickle, const PickleValue& value) {
  if (value.kind != Kind::call) return {};
  TensorValue found{TensorValue::Kind::none, pickle.callee_of(value), &pickle[value.items[1]], {}};
  // A parameter holds its tensor; a tensor of a subclass says by what function and arguments it is made.
  for (int i = 0; i < 4; ++i) {
    const std::string& callee = found.callee;
    const std::vector<uint32_t>& arguments = found.arguments->items;
    if ((callee == "torch._utils._rebuild_parameter" ||
         callee == "torch._utils._rebuild_parameter_with_state" ||
         callee == "torch.nn.parameter.Parameter") &&
        !arguments.empty() && pickle[arguments[0]].kind == Kind::call) {
      const PickleValue& inner = pickle[arguments[0]];
      found.callee = pickle.callee_of(inner);
      found.arguments = &pickle[inner.items[1]];
    } else if ((callee == "torch._tensor._rebuild_from_type_v2" ||
                callee == "torch._tensor._rebuild_from_type" ||
                callee == "torch.tensor._rebuild_from_type") &&
               arguments.size() >= 3 && pickle[arguments[2]].kind == Kind::tuple) {
      found.callee = pickle.name_of(pickle[arguments[0]]);
      found.arguments = &pickle[arguments[2]];
    } else {
      break;
    }
  }
  const std::string& callee = found.callee;
  found.kind = TensorValue::Kind::not_taken;
  if (callee == "torch._utils._rebuild_tensor" || callee == "torch._utils._rebuild_tensor_v2" ||
      callee == "torch._utils._rebuild_tensor_v3")
    found.kind = TensorValue::Kind::dense;
  else if (callee.starts_with("numpy.") &&
           (callee.ends_with("._reconstruct") || callee.ends_with("._frombuffer")))
    found.why = "is a numpy array, expected a tensor: save torch.from_numpy(array)";
  else if (callee == "torch._utils._rebuild_sparse_tensor")
    found.why = "is a sparse tensor: save its to_dense()";
  else if (callee == "torch._utils._rebuild_qtensor")
    found.why = "is a quantized tensor: save its dequantize()";
  else
    found.why = text("is an object of ", callee.empty() ? "what is no named class" : in_quotes(callee),
                     ", which is not read (nothing was run): save a plain tensor");
  return found;
}

FoundStateDict find_state_dict(const Pickle& pickle, const std::string& file, const std::string& entry) {
  const PickleValue* root = &pickle[pickle.root];
  check(root->kind == Kind::dict || root->kind == Kind::call, Fault::input, file,
        ": holds no dict, expected a state dict or a dict that contains one; save the model's state_dict()");
  std::string path, prefix;
  for (std::string_view rest = entry; !rest.empty();) {
    const std::string_view key = rest.substr(0, rest.find('/'));
    const PickleValue* next = root->kind == Kind::dict ? pickle.find(*root, key) : nullptr;
    if (!next || (next->kind != Kind::dict && next->kind != Kind::call)) {
      prefix = std::string(rest) + ".";
      std::replace(prefix.begin(), prefix.end(), '/', '.');
      break;
    }
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
    path += (path.empty() ? "" : "/") + std::string(key);
    root = next;
  }
  Search search(pickle, file);
  search.below(*root, path, 0);
  if (!prefix.empty()) {
    for (const Candidate& c : search.candidates) {
      StateDict part{c.dict.path, {}};
      for (const auto& [name, value] : c.dict.entries)
        if (name.starts_with(prefix)) part.entries[name.substr(prefix.size())] = value;
      if (!part.entries.empty()) return {std::move(part), {}};
    }
    fail(Fault::input, file, ": no dict and no names under ", in_quotes(prefix.substr(0, prefix.size() - 1)),
         " for the entry ", in_quotes(entry), "; there is ", keys_of(pickle, *root));
  }
  if (search.candidates.empty()) {
    const std::string object = pickle.callee_of(*root);
    check(object.empty(), Fault::input, file, ": holds an object of ", in_quotes(object),
          " in which no weights are found (nothing was run); save the model's state_dict()");
    fail(Fault::input, file, ": no weights are found in it, only ", keys_of(pickle, *root));
  }
  return choose(std::move(search.candidates), file);
}

std::vector<std::string> unread_objects(const Pickle& pickle) {
  static const std::set<std::string, std::less<>> common = {"argparse.Namespace",
                                                            "_codecs.encode",
                                                            "torch.device",
                                                            "torch.Size",
                                                            "torch.torch_version.TorchVersion",
                                                            "pathlib.PosixPath",
                                                            "torch.serialization._get_layout",
                                                            "builtins.range",
                                                            "__builtin__.xrange",
                                                            "numpy.dtype",
                                                            "copyreg._reconstructor"};
  std::set<std::string> names;
  Modules modules(pickle);
  for (const PickleValue& value : pickle.values) {
    const std::string callee = pickle.callee_of(value);
    const bool tensor = callee.starts_with("torch._utils._rebuild") || callee.starts_with("torch._tensor.");
    const bool standard =
        callee.starts_with("collections.") || callee.starts_with("datetime.") || callee.starts_with("numpy.");
    const bool plain = callee.starts_with("builtins.set") || callee.starts_with("__builtin__.set") ||
                       callee.ends_with(".frozenset") || callee.ends_with(".bytearray") ||
                       callee.ends_with(".complex");
    const bool module = modules.of(value).has_value();
    if (!callee.empty() && !module && !tensor && !standard && !plain && !common.contains(callee))
      names.insert(callee);
  }
  return {names.begin(), names.end()};
}

}  // namespace retort
