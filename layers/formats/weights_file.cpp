#include "layers/formats/weights_file.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "engine/base/byte_reader.h"
#include "engine/base/file.h"
#include "engine/base/file_kind.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "layers/formats/numpy_pickle.h"
#include "layers/formats/pytorch_file.h"
#include "layers/formats/state_dict_search.h"

namespace retort {

namespace {

// torch.compile, DataParallel, FSDP, activation checkpoints, Lightning Fabric: each may wrap any part.
constexpr const char* transparent[] = {"_orig_mod.", "module.", "_fsdp_wrapped_module.",
                                       "_checkpoint_wrapped_module.", "_forward_module."};
// The habits of training programs, where no last layer says where the network lies.
constexpr const char* wrappers[] = {"model.", "net.", "network.", "backbone.", "student."};
constexpr const char* last_layers[] = {"fc", "linear", "classifier", "classifier.0"};

std::vector<std::string*> names_of(SafeTensors& file) {
  std::vector<std::string*> names;
  for (HostTensor& t : file.tensors) names.push_back(&t.name);
  for (SafeTensors::LeftOut& t : file.left_out) names.push_back(&t.name);
  return names;
}

// Takes the component off wherever it stands, unless two names would become one.
void strip_component(SafeTensors& file, const std::string& component) {
  const std::vector<std::string*> names = names_of(file);
  std::vector<std::string> stripped, without;
  std::set<std::string> known;
  for (const std::string* name : names) {
    std::string now = *name;
    for (size_t at = 0; (at = now.find(component, at)) != now.npos;)
      at == 0 || now[at - 1] == '.' ? void(now.erase(at, component.size())) : void(++at);
    if (now == *name) without.push_back(now);
    if (now.empty() || !known.insert(now).second) return;
    stripped.push_back(std::move(now));
  }
  if (without.size() == names.size()) return;
  for (size_t i = 0; i < names.size(); ++i) *names[i] = std::move(stripped[i]);
  file.notes.push_back(without.empty() ? text("took '", component, "' off all names")
                                       : text("took '", component, "' off ", names.size() - without.size(),
                                              " names; the others: ", some_of(without)));
}

void keep_prefix(SafeTensors& file, const std::string& prefix) {
  std::vector<std::string> others;
  const auto outside = [&](const auto& t) {
    if (t.name.starts_with(prefix)) return false;
    others.push_back(t.name);
    return true;
  };
  std::erase_if(file.tensors, outside);
  std::erase_if(file.left_out, outside);
  for (std::string* name : names_of(file)) name->erase(0, prefix.size());
  file.notes.push_back(others.empty() ? text("took '", prefix, "' off all names")
                                      : text("took the tensors of '", prefix, "' and left ", others.size(),
                                             " others: ", some_of(others)));
}

using ByName = std::map<std::string_view, const HostTensor*>;

// The bias of a last layer under the prefix.
const HostTensor* last_bias(const ByName& tensors, const std::string& prefix) {
  for (const char* last : last_layers) {
    const auto bias = tensors.find(text(prefix, last, ".bias")),
               weight = tensors.find(text(prefix, last, ".weight"));
    if (bias == tensors.end() || weight == tensors.end()) continue;
    const std::vector<int64_t>&b = bias->second->shape, &w = weight->second->shape;
    if (b.size() == 1 && w.size() == 2 && b[0] == w[0]) return bias->second;
  }
  return nullptr;
}

ByName by_name(const SafeTensors& file) {
  ByName tensors;
  for (const HostTensor& t : file.tensors) tensors[t.name] = &t;
  return tensors;
}

struct Wrapped {
  std::string prefix;
  NameRank rank = NameRank::other;
  size_t norms = 0;  // batch norms with statistics
};

// Where networks lie: the outermost prefixes under which a last layer is.
std::vector<Wrapped> wrapped_networks(const SafeTensors& file) {
  const ByName tensors = by_name(file);
  std::set<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    for (const char* last : last_layers) {
      const std::string ending = text(".", last, ".bias");
      if (!name.ends_with(ending)) continue;
      const std::string prefix(name.substr(0, name.size() - ending.size() + 1));
      if (last_bias(tensors, prefix)) prefixes.insert(prefix);
    }
  }
  std::vector<Wrapped> found;
  for (const std::string& prefix : prefixes) {
    if (!found.empty() && prefix.starts_with(found.back().prefix)) continue;  // within the one before
    Wrapped one{prefix, rank_of_name(prefix.substr(0, prefix.size() - 1)), 0};
    for (auto at = tensors.lower_bound(prefix); at != tensors.end() && at->first.starts_with(prefix); ++at)
      one.norms += at->first.ends_with("running_var");
    found.push_back(one);
  }
  return found;
}

void keep_network(SafeTensors& file, const std::string& name) {
  std::vector<Wrapped> found = wrapped_networks(file);
  if (found.empty()) {
    // As far as all names agree; counters beside them do not count.
    for (bool again = true; again;) {
      again = false;
      for (const std::string prefix : wrappers) {
        const auto begins = [&](const HostTensor& t) {
          return t.name.starts_with(prefix) || t.data.size() <= sizeof(double);
        };
        if (!std::all_of(file.tensors.begin(), file.tensors.end(), begins) ||
            !std::any_of(file.tensors.begin(), file.tensors.end(),
                         [&](const HostTensor& t) { return t.name.starts_with(prefix); }))
          continue;
        keep_prefix(file, prefix);
        again = true;
      }
    }
    return;
  }
  // An average of the parameters alone is no network: its batch norms have no statistics.
  size_t norms = 0;
  for (const Wrapped& w : found)
    if (w.rank != NameRank::averaged && w.rank < NameRank::teacher) norms = std::max(norms, w.norms);
  for (Wrapped& w : found)
    if (w.rank == NameRank::averaged && w.norms < norms) w.rank = NameRank::other;
  std::stable_sort(found.begin(), found.end(),
                   [](const Wrapped& a, const Wrapped& b) { return a.rank < b.rank; });
  check(found.size() == 1 || found[0].rank < found[1].rank, Fault::input, name, ": networks are found under ",
        in_quotes(found[0].prefix), " and ", in_quotes(found.size() > 1 ? found[1].prefix : ""),
        "; `retort import` can be told which (--entry)");
  keep_prefix(file, found[0].prefix);
  if (found.size() > 1 && found[0].rank == NameRank::averaged) {
    file.notes.push_back(text("those are the averaged weights; `retort import --entry ",
                              found[1].prefix.substr(0, found[1].prefix.size() - 1), "` takes the others"));
  }
}

}  // namespace

SafeTensors read_weights_file(const std::filesystem::path& path, const std::string& entry) {
  const std::vector<std::byte> file = read_file(path, uint64_t{1} << 40, Pipes::waited_for);
  if (looks_like_pytorch(file)) return parse_pytorch(file, path.string(), entry);
  const FileKind kind = kind_of_file(file);
  if (kind == FileKind::pickle) return parse_numpy_pickle(file, path.string(), entry);
  if (kind != FileKind::safetensors) {
    const std::string refusal =
        refusal_of_kind(path.string(), file, "weights of PyTorch (.pth), safetensors or detectron2 (.pkl)");
    check(refusal.empty(), Fault::input, refusal);
  }
  SafeTensors read = parse_safetensors(file, path.string());
  if (entry.empty()) return read;
  std::string prefix = entry + ".";
  std::replace(prefix.begin(), prefix.end(), '/', '.');
  const std::vector<std::string*> names = names_of(read);
  check(std::any_of(names.begin(), names.end(), [&](const auto* n) { return n->starts_with(prefix); }),
        Fault::input, path.string(), ": no names begin with ", in_quotes(prefix),
        "; a safetensors file has no other entries");
  keep_prefix(read, prefix);
  return read;
}

void strip_transparent(SafeTensors& file) {
  for (const char* component : transparent) strip_component(file, component);
}

void strip_prefixes(SafeTensors& file, const std::string& name) {
  strip_transparent(file);
  if (!last_bias(by_name(file), "")) keep_network(file, name);
}

const HostTensor* bias_of_last_layer(const SafeTensors& file) {
  return last_bias(by_name(file), "");
}

bool is_of_last_layer(const std::string& name) {
  return std::any_of(std::begin(last_layers), std::end(last_layers), [&](const char* last) {
    return name == text(last, ".weight") || name == text(last, ".bias");
  });
}

bool has_name(const SafeTensors& file, const std::string& name) {
  const auto fits = [&](const auto& t) { return t.name == name || t.name.starts_with(name + "."); };
  return std::any_of(file.tensors.begin(), file.tensors.end(), fits) ||
         std::any_of(file.left_out.begin(), file.left_out.end(), fits);
}

void rename_tensors(SafeTensors& file, const std::string& from, const std::string& to) {
  std::set<std::string> names;
  bool found = false;
  for (std::string* name : names_of(file)) {
    if (*name == from || name->starts_with(from + ".")) {
      name->replace(0, from.size(), to);
      found = true;
    }
    check(names.insert(*name).second, Fault::usage, "--rename ", from, "=", to, ": ", in_quotes(*name),
          " is there already");
  }
  if (found) return;
  std::set<std::string> known;  // with the modules they belong to
  for (const std::string& name : names) {
    if (name.size() > 200 || known.size() > 5000) continue;
    for (size_t end = name.size(); end != name.npos; end = end ? name.rfind('.', end - 1) : name.npos)
      known.insert(name.substr(0, end));
  }
  fail(Fault::usage, "--rename ", from, "=", to, ": no tensor is named so; ",
       suggestion(from, {known.begin(), known.end()},
                  names.empty() ? "" : "the first is " + in_quotes(*names.begin())));
}

}  // namespace retort
