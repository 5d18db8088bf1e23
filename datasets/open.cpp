#include "datasets/open.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "datasets/added.h"
#include "datasets/detection/carried.h"
#include "datasets/readers/cifar.h"
#include "datasets/readers/folder.h"
#include "datasets/readers/npy_set.h"
#include "datasets/readers/pack.h"
#include "datasets/readers/synthetic.h"
#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace retort {
namespace {

struct Entry {
  const char* name;
  const char* usage;
  bool photos;  // its images can be photos, for which sizes and decoders matter
  DataSet (*open)(const std::string& argument, const DataOptions& options);
};

// A new data set is one row here and one reader.
constexpr Entry entries[] = {
    {"synthetic", "synthetic[:train=N,test=N,seed=N]", false,
     [](const std::string& argument, const DataOptions& options) {
       return draw_synthetic(SyntheticOptions::parse(argument), options.parts);
     }},
    {"cifar100", "cifar100:DIR", false,
     [](const std::string& argument, const DataOptions& options) {
       return read_cifar100(argument, options.parts);
     }},
    {"cifar10", "cifar10:DIR", false,
     [](const std::string& argument, const DataOptions& options) {
       return read_cifar10(argument, options.parts);
     }},
    {"folder", "folder:DIR", true,
     [](const std::string& argument, const DataOptions& options) { return read_folder(argument, options); }},
    {"pack", "pack:FILE", true,
     [](const std::string& argument, const DataOptions& options) { return read_pack(argument, options); }},
    {"npy", "npy:DIR", true,
     [](const std::string& argument, const DataOptions& options) { return read_npy_set(argument, options); }},
    {"scenes", "scenes[:train=N,test=N,seed=N]", false,
     [](const std::string& argument, const DataOptions& options) {
       return carried_boxes(argument.empty() ? "scenes" : "scenes:" + argument, options.parts);
     }},
    {"coco", "coco:DIR", true,
     [](const std::string& argument, const DataOptions& options) {
       return carried_boxes("coco:" + argument, options.parts, options.decoder, options.pictures_alone);
     }},
};

// These go into weights, exports and reports, which are UTF-8.
DataSet with_sound_names(DataSet data) {
  const auto check_name = [&](const std::string& name, const char* what) {
    check(is_utf8(name), Fault::input, "data set ", data.name, ": ", what, in_quotes(name),
          " is no UTF-8; give it another name");
  };
  check_name(data.name, "its name ");
  for (const std::string& name : data.train.class_names) check_name(name, "the class's name ");
  for (const std::string& name : data.test.class_names) check_name(name, "the class's name ");
  return data;
}

// Which of the kinds a folder looks like; empty if it is none.
std::string kind_of_folder(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return "";
  const auto has = [&](const char* name) { return fs::exists(fs::path(path) / name, error); };
  if (has("data_batch_1") || has("data_batch_1.bin")) return "cifar10";
  if (has("train.bin") || (has("meta") && !fs::is_directory(fs::path(path) / "meta", error)))
    return "cifar100";
  if (has("train_images.npy")) return "npy";
  return "folder";
}

}  // namespace

bool is_drawn(const std::string& spec) {
  const std::string name = spec.substr(0, spec.find(':'));
  return name == "synthetic" || name == "scenes";
}

DataSet open_dataset(const std::string& spec, const DataOptions& options) {
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  std::string known;
  for (const Entry& entry : entries) {
    if (name == entry.name) {
      const bool wants_place = !std::string(entry.usage).ends_with("]");
      check(!wants_place || !argument.empty(), Fault::usage, "data set '", spec, "': expected ", entry.usage);
      return with_sound_names(entry.open(argument, options));
    }
    known += text(known.empty() ? "" : ", ", entry.usage);
  }
  for (const AddedDataset& added : added_datasets()) {
    if (name == added.name) return with_sound_names(added.open(argument, options.parts));
    known += ", " + added.usage;
  }
  const std::string kind = kind_of_folder(spec);
  fail(Fault::usage, "data set '", spec, "' is not known; ",
       kind.empty() ? std::string() : "it is named as " + kind + ":" + spec + "; ", "expected ", known);
}

std::vector<std::string> dataset_words() {
  std::vector<std::string> words;
  const auto add = [&](const std::string& name, const std::string& usage) {
    words.push_back(usage.starts_with(name + ":") ? name + ":" : name);
  };
  for (const Entry& entry : entries) add(entry.name, entry.usage);
  for (const AddedDataset& added : added_datasets()) add(added.name, added.usage);
  return words;
}

DataOptions deciding_options(const std::string& spec, const DataOptions& options) {
  const std::string name = spec.substr(0, spec.find(':'));
  const auto entry = std::find_if(std::begin(entries), std::end(entries),
                                  [&](const Entry& one) { return name == one.name; });
  if (entry == std::end(entries) || !entry->photos) return {.parts = options.parts};
  DataOptions deciding = options;
  deciding.threads = 0;
  return deciding;
}

}  // namespace retort
