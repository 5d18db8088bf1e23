#include "datasets/readers/folder_listing.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "datasets/readers/label_classes.h"
#include "datasets/readers/label_files.h"
#include "datasets/readers/picture_walk.h"
#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/base/utf8.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort {
namespace fs = std::filesystem;
namespace {

using File = FolderListing::File;

std::string below(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == path.npos ? std::string() : path.substr(0, slash);
}

std::string without_extension(const std::string& path) {
  const size_t dot = path.find_last_of('.');
  return dot == path.npos || path.find('/', dot) != path.npos ? path : path.substr(0, dot);
}

void sort_files(std::vector<File>& files) {
  std::vector<std::pair<std::string, std::string>> keys;  // folder, file name
  std::vector<size_t> order;
  for (size_t i = 0; i < files.size(); ++i) {
    keys.emplace_back(folder_of(files[i].path), file_of(files[i].path));
    order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(files[a].label, keys[a]) < std::tie(files[b].label, keys[b]);
  });
  std::vector<File> sorted;
  sorted.reserve(files.size());
  for (const size_t i : order) sorted.push_back(std::move(files[i]));
  files = std::move(sorted);
}

// The pictures of a part by how files of labels may call them: below `from`, with or without their extension.
class Pictures {
 public:
  Pictures(std::vector<FoundPicture> found, std::vector<std::string> from) : found_(std::move(found)) {
    for (size_t i = 0; i < found_.size(); ++i) {
      const std::string path = found_[i].path();
      for (const std::string& folder : from) {
        if (!folder.empty() && !path.starts_with(folder + "/")) continue;
        const std::string name = folder.empty() ? path : path.substr(folder.size() + 1);
        longest_ = std::max(longest_, name.size());
        by_name_.emplace(name, i);
        by_name_.emplace(without_extension(name), i);  // of two the first
      }
    }
  }

  const FoundPicture* find(const std::string& name) const {
    const auto at = by_name_.find(name.starts_with("./") ? name.substr(2) : name);
    return at == by_name_.end() ? nullptr : &found_[at->second];
  }
  // The picture of a line. Names of files and of classes may hold blanks: what is a picture's name, the
  // longest there is, is its name, and the rest its label.
  const FoundPicture& of(LabelledFile& line, const std::string& file) const {
    const FoundPicture* picture = nullptr;
    const size_t longest = longest_ + std::string_view("./").size();
    size_t end = line.whole.size();
    if (end > longest) end = line.whole.find_last_of(" \t", longest);
    for (; !picture && end != 0 && end != std::string::npos; end = line.whole.find_last_of(" \t", end - 1)) {
      picture = find(std::string(trimmed(std::string_view(line.whole).substr(0, end))));
      if (!picture) continue;
      line.file = trimmed(std::string_view(line.whole).substr(0, end));
      line.label = trimmed(std::string_view(line.whole).substr(end));
    }
    if (!picture) picture = find(line.file);
    check(
        picture, Fault::input, file, ":", line.line, ": there is no picture ", in_quotes(line.file),
        " (.jpg, .jpeg or .png; no other kind is read); expected \"file CLASS\", parted by a tab or a blank");
    return *picture;
  }

  const std::vector<FoundPicture>& all() const { return found_; }

 private:
  std::vector<FoundPicture> found_;
  std::unordered_map<std::string, size_t> by_name_;
  size_t longest_ = 0;  // of these names
};

class Lister {
 public:
  Lister(const fs::path& folder, const std::string& test_labels) : walk_(folder), test_labels_(test_labels) {}

  FolderListing list() {
    std::error_code error;
    const std::string folder = walk_.root().string();
    check(fs::exists(walk_.root(), error), Fault::input, "folder: no folder ", folder);
    check(fs::is_directory(walk_.root(), error), Fault::input, "folder: ", folder, " is not a folder");
    walk_.folders_in("");  // stamped: what is added to it is noticed
    const std::optional<std::string> train = find_train();
    // A folder train without folders in it is where lists have their images.
    if (train && (!walk_.folders_in(*train).empty() || list_of_training().empty())) {
      list_classes(*train);
      list_test();
      walk_.check_kinds();
    } else {
      check(test_labels_.empty(), Fault::usage, "data.val_labels is ", in_quotes(test_labels_),
            ", and is for test images beside a folder train with a folder for each class; ", folder,
            " has another layout, whose own files say the classes");
      if (walk_.is_file("images.txt") && walk_.is_file("image_class_labels.txt") &&
          walk_.is_file("train_test_split.txt"))
        list_cub();
      else
        list_lists();
    }
    check(!listing_.train.empty() && !listing_.test.empty(), Fault::input, "folder: ", folder, " holds ",
          listing_.train.size(), " training and ", listing_.test.size(), " test pictures");
    check_classes();
    sort_files(listing_.train);
    sort_files(listing_.test);
    listing_.stamps = walk_.take_stamps();
    return std::move(listing_);
  }

 private:
  // The root moves down to where Kaggle's archive of ImageNet has its images.
  std::optional<std::string> find_train() {
    for (const char* place : {"", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC"}) {
      for (const char* name : {"train", "training"}) {
        const std::string path = below(place, name);
        if (!walk_.is_folder(path)) continue;
        root_ = place;
        walk_.folders_in(root_);
        return path;
      }
    }
    return std::nullopt;
  }

  void add(std::vector<File>& part, const FoundPicture& picture, int32_t label) {
    part.push_back({picture.path(), label, picture.bytes});
  }

  void list_classes(const std::string& train) {
    listing_.class_names = walk_.folders_in(train);
    check(!listing_.class_names.empty(), Fault::input, walk_.shown(train),
          ": holds no folders; training images are expected in a folder for each class, ",
          walk_.shown(below(train, "CLASS/*.jpg")));
    for (size_t c = 0; c < listing_.class_names.size(); ++c)
      list_class(listing_.train, below(train, listing_.class_names[c]), int32_t(c));
  }

  void list_class(std::vector<File>& part, const std::string& folder, int32_t label) {
    const std::vector<FoundPicture> found = walk_.pictures_in(folder);
    if (found.empty()) walk_.check_kinds();
    check(!found.empty(), Fault::input, walk_.shown(folder),
          ": an empty class: the folder holds no picture (.jpg, .jpeg, .png); add some, or take the folder "
          "away");
    for (const FoundPicture& picture : found) add(part, picture, label);
  }

  void list_test() {
    std::string part;
    for (const char* name : {"val", "valid", "validation", "test"}) {
      if (part.empty() && walk_.is_folder(below(root_, name))) part = below(root_, name);
    }
    check(!part.empty(), Fault::input, "folder: ", walk_.shown(root_),
          " holds training images but no test images; expected a folder val, valid, validation or test");
    const std::vector<std::string> folders = walk_.folders_in(part);
    if (!test_labels_.empty()) return list_labelled(part, test_labels_, true);
    const std::string tabs = below(part, "val_annotations.txt");
    if (walk_.is_file(tabs)) {
      listing_.tiny_imagenet = true;
      return list_labelled(part, tabs, false);
    }
    const std::string labels = find_labels(part);
    const std::set<std::string> classes(listing_.class_names.begin(), listing_.class_names.end());
    const bool one_folder = folders.size() == 1 && !classes.contains(folders[0]);
    if (folders.empty() || one_folder || walk_.has_pictures(part)) {
      if (!labels.empty()) return list_labelled(part, labels, false);
      check(
          !folders.empty() && !one_folder, Fault::input, walk_.shown(part),
          one_folder
              ? text(": its one folder, ", in_quotes(folders[0]), ", is no class of the training images")
              : std::string(": its pictures are in no class folders"),
          ", and nothing says which picture is of which class: expected a folder for each class, ",
          walk_.shown(below(root_, "val.txt")),
          " with \"file CLASS\" on each line, LOC_val_solution.csv, or such a file named by data.val_labels");
    }
    for (const std::string& name : folders) {
      const auto at = std::find(listing_.class_names.begin(), listing_.class_names.end(), name);
      check(at != listing_.class_names.end(), Fault::input, walk_.shown(below(part, name)),
            ": a class of test images that has no training images; its folder's name is none of the ",
            listing_.class_names.size(), " class folders (", in_quotes(listing_.class_names.front()),
            ", ...)");
      list_class(listing_.test, below(part, name), int32_t(at - listing_.class_names.begin()));
    }
  }

  // The file beside or in the test part that labels a flat one; empty if there is none.
  std::string find_labels(const std::string& part) const {
    const std::string own = file_of(part) + ".txt";
    for (const std::string& place : {root_, std::string(), part, below(root_, "meta")}) {
      for (const std::string& name : {own, std::string("val.txt"), std::string("LOC_val_solution.csv")})
        if (walk_.is_file(below(place, name))) return below(place, name);
    }
    return {};
  }

  std::vector<LabelledFile> read_labels(const std::string& path, bool elsewhere, std::string& name) {
    const fs::path place = elsewhere ? fs::absolute(path) : fs::path(path);
    const std::string text = walk_.text_of(place.string());  // an absolute path stays what it is
    name = elsewhere ? path : walk_.shown(path);
    const std::string_view content = without_byte_order_mark(text, name);
    if (path.ends_with(".csv") || content.starts_with("ImageId,")) return read_solution_csv(content, name);
    const std::string_view first = content.substr(0, content.find('\n'));
    if (std::count(first.begin(), first.end(), '\t') >= 2) return read_tab_annotations(content, name);
    return read_label_lines(content, name);
  }

  // Test images by a file of labels: all of them, each once.
  void list_labelled(const std::string& part, const std::string& path, bool elsewhere) {
    std::string name;
    std::vector<LabelledFile> lines = read_labels(path, elsewhere, name);
    const Pictures pictures(walk_.pictures_in(part), {part, below(part, "images"), root_, ""});
    walk_.check_kinds();
    std::vector<const FoundPicture*> found;
    std::map<const FoundPicture*, int> seen;
    for (LabelledFile& line : lines) {
      found.push_back(&pictures.of(line, name));
      const auto [at, is_new] = seen.emplace(found.back(), line.line);
      check(is_new, Fault::input, name, ":", line.line, ": ", in_quotes(line.file), " stands in line ",
            at->second, " already");
    }
    for (const FoundPicture& picture : pictures.all())
      check(seen.contains(&picture), Fault::input, walk_.shown(picture.path()), ": ", name,
            " says no class of it");
    const std::vector<int32_t> labels = classes_of(lines, listing_.class_names, name);
    for (size_t i = 0; i < lines.size(); ++i) add(listing_.test, *found[i], labels[i]);
  }

  void list_cub() {
    const std::vector<std::string> files =
        read_numbered_lines(walk_.text_of("images.txt"), walk_.shown("images.txt"));
    const auto read = [&](const char* name) {
      std::vector<std::string> values = read_numbered_lines(walk_.text_of(name), walk_.shown(name));
      check(values.size() == files.size(), Fault::input, walk_.shown(name), ": ", values.size(),
            " lines, expected ", files.size(), " as in images.txt");
      return values;
    };
    const std::vector<std::string> labels = read("image_class_labels.txt"),
                                   parts = read("train_test_split.txt");
    const Pictures pictures(walk_.pictures_in("images"), {"images"});
    std::map<const FoundPicture*, size_t> seen;
    std::map<std::string, std::string> number_of;  // of a class folder, as the file has it
    std::set<std::string> numbers;
    for (size_t i = 0; i < files.size(); ++i) {
      const auto [at, is_new] = number_of.emplace(folder_of(files[i]), labels[i]);
      check(is_new ? numbers.insert(labels[i]).second : at->second == labels[i], Fault::input,
            walk_.shown("image_class_labels.txt"), ": image ", i + 1, " (", in_quotes(files[i]),
            ") is of class ", in_quotes(labels[i]), ", which is not that of its folder alone");
    }
    for (const auto& [folder, number] : number_of) listing_.class_names.push_back(file_of(folder));
    std::map<std::string, int32_t> label_of;
    for (const auto& [folder, number] : number_of) label_of.emplace(folder, int32_t(label_of.size()));
    for (size_t i = 0; i < files.size(); ++i) {
      LabelledFile line{files[i], "", int(i + 1)};
      const FoundPicture& picture = pictures.of(line, walk_.shown("images.txt"));
      const auto [at, is_new] = seen.emplace(&picture, i + 1);
      check(is_new, Fault::input, walk_.shown("images.txt"), ": image ", i + 1, ": ", in_quotes(files[i]),
            " is image ", at->second, " already; a picture is trained on or tested on, once");
      check(parts[i] == "0" || parts[i] == "1", Fault::input, walk_.shown("train_test_split.txt"), ": image ",
            i + 1, ": ", in_quotes(parts[i]), ", expected 1 (train) or 0");
      add(parts[i] == "1" ? listing_.train : listing_.test, picture, label_of.at(folder_of(files[i])));
    }
  }

  // Empty where there is none.
  std::string list_of_training() const {
    for (const char* folder : {"", "meta"})
      if (walk_.is_file(below(folder, "train.txt"))) return below(folder, "train.txt");
    return "";
  }

  void list_lists() {
    const std::string place = list_of_training();
    const std::string folder = folder_of(place);
    std::string test = below(folder, "val.txt");
    if (!walk_.is_file(test)) test = below(folder, "test.txt");
    check(!place.empty() && walk_.is_file(test), Fault::input, "folder: ", walk_.root().string(),
          place.empty() ? " holds neither a folder train nor" : text(" holds ", place, ", but not"),
          " lists of images", place.empty() ? "" : " for testing",
          "; expected train/CLASS/*.jpg and val/CLASS/*.jpg, or train.txt and val.txt "
          "or test.txt with \"path LABEL\" on each line, in the folder or in meta/, or CUB-200's files");
    const Pictures pictures(walk_.pictures_in(""), {"", "images"});
    // What is learned by heart must not be tested on either.
    std::map<const FoundPicture*, std::string> seen;
    const auto read = [&](const std::string& path, std::vector<const FoundPicture*>& found) {
      std::vector<LabelledFile> lines = read_label_lines(walk_.text_of(path), walk_.shown(path));
      for (LabelledFile& line : lines) {
        found.push_back(&pictures.of(line, walk_.shown(path)));
        const auto [first, added] = seen.insert({found.back(), text(path, ":", line.line)});
        check(added, Fault::input, walk_.shown(path), ":", line.line, ": ", in_quotes(line.file),
              " stands in ", first->second, " already; a picture is trained on or tested on, once");
      }
      return lines;
    };
    std::vector<const FoundPicture*> train_found, test_found;
    const std::vector<LabelledFile> train = read(place, train_found), tests = read(test, test_found);
    if (train.empty()) return;  // said by list()
    const ListedClasses classes(train, train_found, walk_.shown(place));
    listing_.class_names = classes.names();
    const std::vector<int32_t> labels = classes.of(train, train_found, walk_.shown(place)),
                               test_labels = classes.of(tests, test_found, walk_.shown(test));
    for (size_t i = 0; i < train.size(); ++i) add(listing_.train, *train_found[i], labels[i]);
    for (size_t i = 0; i < tests.size(); ++i) add(listing_.test, *test_found[i], test_labels[i]);
  }

  void check_classes() const {
    std::vector<int64_t> trained(listing_.class_names.size());
    for (const File& file : listing_.train) {
      const std::string& name = listing_.class_names[size_t(file.label)];
      if (trained[size_t(file.label)]++ > 0) continue;
      check(is_utf8(name), Fault::input, walk_.shown(file.path), ": its class, ", in_quotes(name),
            ", has a name that is no UTF-8, and weights and reports can hold no other; rename it (convmv "
            "does)");
    }
    for (size_t c = 0; c < trained.size(); ++c)
      check(trained[c] > 0, Fault::input, walk_.root().string(), ": class ",
            in_quotes(listing_.class_names[c]), " has no training images");
  }

  PictureWalk walk_;
  std::string test_labels_, root_;
  FolderListing listing_;
};

}  // namespace

uint64_t FolderListing::hash(const std::vector<File>& part) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (const File& file : part) {
    const std::string line =
        std::to_string(file.label) + " " + std::to_string(file.bytes) + " " + file.path + '\0';
    XXH3_64bits_update(&state, line.data(), line.size());
  }
  return XXH3_64bits_digest(&state);
}

FolderListing list_folder(const fs::path& folder, const std::string& test_labels) {
  return Lister(folder, test_labels).list();
}

}  // namespace retort
