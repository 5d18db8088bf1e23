#include "layers/formats/weights_file.h"

#include <algorithm>
#include <set>

#include "engine/base/byte_reader.h"
#include "engine/base/file.h"
#include "engine/base/nearest.h"
#include "layers/formats/pytorch_file.h"

namespace retort {

namespace {

// DataParallel, Lightning, torch.compile and the habits of training programs.
constexpr const char* wrappers[] = {"module.", "_orig_mod.", "model.", "net.", "network.", "backbone."};

bool all_begin_with(const std::vector<HostTensor>& tensors, const std::string& prefix) {
  return !tensors.empty() && std::all_of(tensors.begin(), tensors.end(),
                                         [&](const HostTensor& t) { return t.name.starts_with(prefix); });
}

bool strip_wrapper(std::vector<HostTensor>& tensors, std::vector<std::string>& notes) {
  for (const std::string prefix : wrappers) {
    if (!all_begin_with(tensors, prefix)) continue;
    for (HostTensor& t : tensors) t.name.erase(0, prefix.size());
    notes.push_back("took '" + prefix + "' off all names");
    return true;
  }
  return false;
}

bool keep_student(std::vector<HostTensor>& tensors, std::vector<std::string>& notes) {
  const std::string prefix = "student.";
  const auto others = std::stable_partition(tensors.begin(), tensors.end(),
                                            [&](const HostTensor& t) { return t.name.starts_with(prefix); });
  if (others == tensors.begin()) return false;
  notes.push_back(text("took the tensors of '", prefix, "' and left ", tensors.end() - others, " others"));
  tensors.erase(others, tensors.end());
  for (HostTensor& t : tensors) t.name.erase(0, prefix.size());
  return true;
}

}  // namespace

SafeTensors read_weights_file(const std::filesystem::path& path, const std::string& entry) {
  const std::vector<std::byte> file = read_file(path);
  if (looks_like_pytorch(file)) return parse_pytorch(file, path.string(), entry);
  check(entry.empty(), Fault::usage, path.string(), ": is no PyTorch checkpoint and has no entries; leave ",
        in_quotes(entry), " out");
  return parse_safetensors(file, path.string());
}

std::vector<std::string> strip_prefixes(std::vector<HostTensor>& tensors) {
  std::vector<std::string> notes;
  while (strip_wrapper(tensors, notes)) {
  }
  if (keep_student(tensors, notes)) {
    while (strip_wrapper(tensors, notes)) {
    }
  }
  return notes;
}

void rename_tensors(std::vector<HostTensor>& tensors, const std::string& from, const std::string& to) {
  std::set<std::string> names;
  bool found = false;
  for (HostTensor& t : tensors) {
    if (t.name == from || t.name.starts_with(from + ".")) {
      t.name.replace(0, from.size(), to);
      found = true;
    }
    check(names.insert(t.name).second, Fault::usage, "--rename ", from, "=", to, ": ", in_quotes(t.name),
          " is there already");
  }
  if (found) return;
  std::set<std::string> known;  // with the modules they belong to
  for (const std::string& name : names) {
    if (name.size() > 200 || known.size() > 5000) continue;
    for (size_t end = name.size(); end != name.npos; end = end ? name.rfind('.', end - 1) : name.npos)
      known.insert(name.substr(0, end));
  }
  fail(Fault::usage, "--rename ", from, "=", to, ": no tensor is named so; did you mean ",
       in_quotes(nearest(from, {known.begin(), known.end()})), "?");
}

}  // namespace retort
