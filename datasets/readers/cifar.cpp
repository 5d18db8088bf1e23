#include "datasets/readers/cifar.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {
namespace fs = std::filesystem;
namespace {

constexpr int side = 32, plane = side * side;

// What tells the two data sets apart.
struct Layout {
  const char* name;
  const char* archive_folder;      // where the official archive puts the files
  const char* python_folder;       // what the archive that cannot be read here unpacks to
  std::vector<int> label_classes;  // allowed values of each label byte; the last label is the one used
  std::vector<const char*> train_files;
  const char* test_file;
  int rows_per_file_train, rows_per_file_test;
  const char* names_file;
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
                             50000,
                             10000,
                             "fine_label_names.txt",
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
      10000,
      10000,
      "batches.meta.txt",
      {.4914f, .4822f, .4465f},
      {.2470f, .2435f, .2616f}};
  return layout;
}

// The folder itself, or the archive's folder in it.
fs::path find_files(const Layout& layout, const fs::path& folder) {
  const std::string fetch = text("`retort data fetch ", layout.name, " DIR` downloads the data");
  std::error_code error;
  check(fs::exists(folder, error), Fault::input, layout.name, ": no folder ", folder.string(), "; ", fetch);
  check(fs::is_directory(folder, error), Fault::input, layout.name, ": ", folder.string(),
        " is not a folder");
  const auto holds = [&](const fs::path& place) {
    return fs::exists(place / layout.test_file, error) || fs::exists(place / layout.train_files[0], error);
  };
  if (holds(folder)) return folder;
  if (holds(folder / layout.archive_folder)) return folder / layout.archive_folder;
  const bool python = fs::exists(folder / layout.python_folder, error) ||
                      fs::exists(folder / "batches.meta", error) || fs::exists(folder / "meta", error);
  fail(Fault::input, layout.name, ": ", folder.string(), " holds neither ", layout.train_files[0], " nor ",
       layout.archive_folder, "/", layout.train_files[0],
       python ? " but the Python version of the data, the binary version is read here; " : "; ", fetch);
}

// Appends `rows` images of one file.
void read_rows(const Layout& layout, const fs::path& path, int rows, ImageSet& set) {
  InputFile file(path);
  const int64_t row_bytes = layout.row_bytes(), expected = rows * row_bytes;
  check(file.size() == expected, Fault::input, file.name(), ": ", with_commas(file.size()),
        " bytes, expected ", with_commas(expected), " (", with_commas(rows), " rows of ", row_bytes, ")");
  constexpr int64_t at_once = 100;
  std::vector<uint8_t> some(static_cast<size_t>(at_once * row_bytes));
  for (int64_t i = 0; i < rows; ++i) {
    if (i % at_once == 0) file.read(some.data(), std::min(at_once, rows - i) * row_bytes);
    const uint8_t* row = some.data() + i % at_once * row_bytes;
    for (size_t l = 0; l < layout.label_classes.size(); ++l)
      check(row[l] < layout.label_classes[l], Fault::input, file.name(), ": label ", int(row[l]), " at byte ",
            with_commas(i * row_bytes + int64_t(l)), ", expected 0 to ", layout.label_classes[l] - 1);
    set.labels.push_back(row[layout.label_classes.size() - 1]);
    const uint8_t* red = row + layout.label_classes.size();
    const size_t start = set.images.size();
    set.images.resize(start + 3 * plane);
    uint8_t* out = set.images.data() + start;
    for (int p = 0; p < plane; ++p) {
      out[3 * p] = red[p];
      out[3 * p + 1] = red[plane + p];
      out[3 * p + 2] = red[2 * plane + p];
    }
  }
}

// One name per line; the file is optional, but if it is there it must name every class.
std::vector<std::string> read_names(const Layout& layout, const fs::path& folder) {
  std::vector<std::string> names;
  const fs::path path = folder / layout.names_file;
  std::error_code error;
  if (!fs::exists(path, error)) {
    for (int c = 0; c < layout.classes(); ++c) names.push_back(std::to_string(c));
    return names;
  }
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
  const fs::path place = find_files(layout, folder);
  DataSet data;
  data.name = layout.name;
  const std::vector<std::string> names = read_names(layout, place);
  for (ImageSet* set : {&data.train, &data.test}) {
    set->height = set->width = side;
    set->classes = layout.classes();
    set->class_names = names;
    set->mean = layout.mean;
    set->stddev = layout.stddev;
  }
  if (parts == Parts::both) {
    data.train.images.reserve(layout.train_files.size() * size_t(layout.rows_per_file_train) * 3 * plane);
    for (const char* name : layout.train_files)
      read_rows(layout, place / name, layout.rows_per_file_train, data.train);
  }
  data.test.images.reserve(size_t(layout.rows_per_file_test) * 3 * plane);
  read_rows(layout, place / layout.test_file, layout.rows_per_file_test, data.test);
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
