#include "datasets/readers/cifar.h"

#include <algorithm>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/pickle.h"
#include "engine/base/pickle_array.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

constexpr int side = 32, plane = side * side;

// In what the two data sets differ.
struct Layout {
  const char* name;
  const char* archive_folder;      // where the official archive puts the files
  const char* python_folder;       // where that for Python puts them
  std::vector<int> label_classes;  // allowed values of each label byte; the last label is the one used
  std::vector<const char*> train_files;
  const char* test_file;
  const char* names_file;
  // Python's: the files' names follow from those above; keys of labels and of class names, and the file of
  // the latter.
  const char *label_key, *names_key, *python_names_file;
  std::array<float, 3> mean, stddev;

  int classes() const { return label_classes.back(); }
  int64_t row_bytes() const { return int64_t(label_classes.size()) + 3 * plane; }
};

const Layout& cifar100_layout() {
  static const Layout layout{"cifar100",
                             "cifar-100-binary",
                             "cifar-100-python",
                             {20, 100},
                             {"train.bin"},
                             "test.bin",
                             "fine_label_names.txt",
                             "fine_labels",
                             "fine_label_names",
                             "meta",
                             {.5071f, .4867f, .4408f},
                             {.2675f, .2565f, .2761f}};
  return layout;
}

const Layout& cifar10_layout() {
  static const Layout layout{
      "cifar10",
      "cifar-10-batches-bin",
      "cifar-10-batches-py",
      {10},
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      "test_batch.bin",
      "batches.meta.txt",
      "labels",
      "label_names",
      "batches.meta",
      {.4914f, .4822f, .4465f},
      {.2470f, .2435f, .2616f}};
  return layout;
}

// "train.bin" as Python's archive has it: "train".
std::string python_name(const char* file) {
  const std::string name = file;
  return name.substr(0, name.size() - std::string(".bin").size());
}

struct Place {
  fs::path folder;
  bool python = false;
};

// A dict's value. Keys of bytes: as such, or, in protocol 2 of Python 3, as _codecs.encode("data", "latin1").
const PickleValue* find_key(const Pickle& pickle, const PickleValue& dict, std::string_view key) {
  if (dict.kind != PickleValue::Kind::dict) return nullptr;
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleValue* found = &pickle[dict.items[i - 2]];
    if (pickle.callee_of(*found) == "_codecs.encode") {
      const PickleValue& arguments = pickle[found->items[1]];
      if (arguments.kind == PickleValue::Kind::tuple && !arguments.items.empty())
        found = &pickle[arguments.items[0]];
    }
    const bool word = found->kind == PickleValue::Kind::text || found->kind == PickleValue::Kind::bytes;
    if (word && found->text == key) return &pickle[dict.items[i - 1]];
  }
  return nullptr;
}

// The folder itself, or the archive's folder in it.
Place find_files(const Layout& layout, const fs::path& folder) {
  const std::string fetch = text("`retort data fetch ", layout.name, " DIR` downloads the data");
  std::error_code error;
  check(fs::exists(folder, error), Fault::input, layout.name, ": no folder ", folder.string(), "; ", fetch);
  check(fs::is_directory(folder, error), Fault::input, layout.name, ": ", folder.string(),
        " is not a folder");
  const auto holds = [&](const fs::path& place, bool python) {
    for (const char* name : {layout.test_file, layout.train_files[0]})
      if (fs::is_regular_file(place / (python ? python_name(name) : name), error)) return true;
    return false;
  };
  for (const bool python : {false, true})
    for (const fs::path& place : {folder, folder / (python ? layout.python_folder : layout.archive_folder)})
      if (holds(place, python)) return {place, python};
  fail(Fault::input, layout.name, ": ", folder.string(), " holds neither ", layout.train_files[0], " nor ",
       layout.archive_folder, "/", layout.train_files[0], " nor Python's ", layout.python_folder, "; ",
       fetch);
}

// Three planes to pixels.
void add_pixels(const uint8_t* red, ImageSet& set) {
  const size_t start = set.images.size();
  set.images.resize(start + 3 * plane);
  uint8_t* out = set.images.data() + start;
  for (int p = 0; p < plane; ++p) {
    out[3 * p] = red[p];
    out[3 * p + 1] = red[plane + p];
    out[3 * p + 2] = red[2 * plane + p];
  }
}

// Appends the images of one file: as many rows as it has.
void read_rows(const Layout& layout, const fs::path& path, ImageSet& set) {
  InputFile file(path);
  const int64_t row_bytes = layout.row_bytes(), rows = file.size() / row_bytes;
  check(rows > 0 && rows * row_bytes == file.size(), Fault::input, file.name(), ": ",
        with_commas(file.size()), " bytes, expected a multiple of ", with_commas(row_bytes),
        ", a row of labels and pixels for each image");
  set.images.reserve(set.images.size() + size_t(rows) * 3 * plane);
  constexpr int64_t at_once = 100;
  std::vector<uint8_t> some(static_cast<size_t>(at_once * row_bytes));
  for (int64_t i = 0; i < rows; ++i) {
    if (i % at_once == 0) file.read(some.data(), std::min(at_once, rows - i) * row_bytes);
    const uint8_t* row = some.data() + i % at_once * row_bytes;
    for (size_t l = 0; l < layout.label_classes.size(); ++l)
      check(row[l] < layout.label_classes[l], Fault::input, file.name(), ": label ", int(row[l]), " at byte ",
            with_commas(i * row_bytes + int64_t(l)), ", expected 0 to ", layout.label_classes[l] - 1);
    set.labels.push_back(row[layout.label_classes.size() - 1]);
    add_pixels(row + layout.label_classes.size(), set);
  }
}

// A file of Python's: the pickle of a dict of images, N rows of 3072 bytes, and a list of labels.
void read_pickled_rows(const Layout& layout, const fs::path& path, ImageSet& set) {
  const std::vector<std::byte> bytes = read_file(path, uint64_t{1} << 32);
  const std::string name = path.string();
  const Pickle pickle = read_pickle(bytes, name, 0);
  const PickleValue& root = pickle[pickle.root];
  const PickleValue *data = find_key(pickle, root, "data"),
                    *labels = find_key(pickle, root, layout.label_key);
  check(data && labels, Fault::input, name, ": no dict of 'data' and '", layout.label_key, "', as ",
        layout.python_folder, " has them");
  const PickleArray images = array_of(pickle, *data, name, "'data'");
  check(images.kind == 'u' && images.bytes == 1 && images.shape.size() == 2 && images.shape[1] == 3 * plane &&
            images.shape[0] > 0,
        Fault::input, name, ": 'data' is no array of u8 [N, ", 3 * plane, "]");
  check((labels->kind == PickleValue::Kind::list || labels->kind == PickleValue::Kind::tuple) &&
            int64_t(labels->items.size()) == images.shape[0],
        Fault::input, name, ": ", labels->items.size(), " labels of ", images.shape[0], " images");
  set.images.reserve(set.images.size() + images.data.size());
  for (int64_t i = 0; i < images.shape[0]; ++i) {
    const PickleValue& label = pickle[labels->items[size_t(i)]];
    check(label.kind == PickleValue::Kind::integer && label.integer >= 0 && label.integer < layout.classes(),
          Fault::input, name, ": label ", i, " is no number from 0 to ", layout.classes() - 1);
    set.labels.push_back(int32_t(label.integer));
    add_pixels(reinterpret_cast<const uint8_t*>(images.data.data()) + i * 3 * plane, set);
  }
}

std::vector<std::string> numbered_classes(const Layout& layout) {
  std::vector<std::string> names;
  for (int c = 0; c < layout.classes(); ++c) names.push_back(std::to_string(c));
  return names;
}

// As below, from a pickle of lists.
std::vector<std::string> read_pickled_names(const Layout& layout, const fs::path& folder) {
  const fs::path path = folder / layout.python_names_file;
  std::error_code error;
  if (!fs::exists(path, error)) return numbered_classes(layout);
  const std::vector<std::byte> bytes = read_file(path, 1 << 20);
  const Pickle pickle = read_pickle(bytes, path.string(), 0);
  const PickleValue* list = find_key(pickle, pickle[pickle.root], layout.names_key);
  std::vector<std::string> names;
  if (list && list->kind == PickleValue::Kind::list)
    for (const uint32_t at : list->items) names.emplace_back(pickle[at].text);
  check(int(names.size()) == layout.classes(), Fault::input, path.string(), ": ", names.size(), " names in '",
        layout.names_key, "', expected ", layout.classes());
  return names;
}

// One name per line; the file is optional, but if it is there it must name every class.
std::vector<std::string> read_names(const Layout& layout, const fs::path& folder) {
  std::vector<std::string> names;
  const fs::path path = folder / layout.names_file;
  std::error_code error;
  if (!fs::exists(path, error)) return numbered_classes(layout);
  const std::vector<uint8_t> bytes = InputFile(path).read_all(1 << 20);
  std::string line;
  for (size_t i = 0; i <= bytes.size(); ++i) {
    const char c = i < bytes.size() ? char(bytes[i]) : '\n';
    if (c != '\n') {
      if (c != '\r') line += c;
      continue;
    }
    if (!line.empty()) names.push_back(line);
    line.clear();
  }
  check(int(names.size()) == layout.classes(), Fault::input, path.string(), ": ", names.size(),
        " class names, expected ", layout.classes(), ", one per line");
  return names;
}

DataSet read_cifar(const Layout& layout, const fs::path& folder, Parts parts) {
  const Place place = find_files(layout, folder);
  DataSet data;
  data.name = layout.name;
  const std::vector<std::string> names =
      place.python ? read_pickled_names(layout, place.folder) : read_names(layout, place.folder);
  for (ImageSet* set : {&data.train, &data.test}) {
    set->height = set->width = side;
    set->classes = layout.classes();
    set->class_names = names;
    set->mean = layout.mean;
    set->stddev = layout.stddev;
  }
  const auto read = [&](const char* name, ImageSet& set) {
    place.python ? read_pickled_rows(layout, place.folder / python_name(name), set)
                 : read_rows(layout, place.folder / name, set);
  };
  if (parts == Parts::both)
    for (const char* name : layout.train_files) read(name, data.train);
  read(layout.test_file, data.test);
  return data;
}

}  // namespace

DataSet read_cifar100(const fs::path& folder, Parts parts) {
  return read_cifar(cifar100_layout(), folder, parts);
}

DataSet read_cifar10(const fs::path& folder, Parts parts) {
  return read_cifar(cifar10_layout(), folder, parts);
}

}  // namespace retort
