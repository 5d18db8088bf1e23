#include "datasets/readers/label_classes.h"

#include <algorithm>
#include <set>

#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {
namespace {

bool is_number(const std::string& text) {
  int64_t number = 0;
  return parse(text, number);
}

std::string label_of(const LabelledFile& line, const FoundPicture& picture) {
  return line.label.empty() ? file_of(picture.folder) : line.label;
}

}  // namespace

std::vector<int32_t> classes_of(const std::vector<LabelledFile>& lines, const std::vector<std::string>& names,
                                const std::string& file) {
  std::unordered_map<std::string, int32_t> numbers;
  for (size_t i = 0; i < names.size(); ++i) numbers.emplace(names[i], int32_t(i));
  const bool named =
      std::all_of(lines.begin(), lines.end(), [&](const auto& line) { return numbers.contains(line.label); });
  for (const LabelledFile& line : lines)
    check(numbers.contains(line.label) || is_number(line.label), Fault::input, file, ":", line.line, ": ",
          in_quotes(line.label), " is no class of the training images; expected the name of one of their ",
          names.size(), " classes (", in_quotes(names.front()), ", ...), or its number");
  std::vector<int32_t> classes;
  for (const LabelledFile& line : lines) {
    int32_t number = named ? numbers.at(line.label) : -1;
    check(named || parse(line.label, number), Fault::input, file, ":", line.line, ": ", in_quotes(line.label),
          ": the name of a class where other lines have numbers; write names in all of them, or numbers");
    check(number >= 0 && number < int32_t(names.size()), Fault::input, file, ":", line.line,
          ": class number ", number, ", expected 0 to ", names.size() - 1,
          ": classes are numbered from 0 in the byte order of their names; ImageNet's own numbering (1 to "
          "1000) is another one, with which accuracy would be that of chance. Write classes by name");
    classes.push_back(number);
  }
  return classes;
}

ListedClasses::ListedClasses(const std::vector<LabelledFile>& lines,
                             const std::vector<const FoundPicture*>& found, const std::string& file) {
  std::map<std::string, std::set<std::string>> folders;  // and the labels in each
  std::set<std::string> labels;
  bool numbers = true, own_folders = true;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string label = label_of(lines[i], *found[i]);
    labels.insert(label);
    folders[found[i]->folder].insert(label);
    numbers = numbers && is_number(label);
    own_folders = own_folders && label == file_of(found[i]->folder);
  }
  const bool one_each =
      folders.size() == labels.size() &&
      std::all_of(folders.begin(), folders.end(), [](const auto& f) { return f.second.size() == 1; });
  if (!numbers || own_folders) {
    names_.assign(labels.begin(), labels.end());
  } else {
    std::map<int64_t, std::string> sorted;
    for (const std::string& label : labels) {
      int64_t number = 0;
      parse(label, number);
      sorted.emplace(number, label);
    }
    for (const auto& [number, label] : sorted) {
      by_number_.emplace(number, int32_t(names_.size()));
      names_.push_back(label);
    }
  }
  // "01" and "1" are one number.
  if (!one_each || (!by_number_.empty() && by_number_.size() < folders.size())) return;
  std::vector<std::string> called;
  for (const auto& [folder, own] : folders) {
    const std::string& label = *own.begin();
    int32_t place = int32_t(called.size());
    if (by_number_.empty()) {
      place = int32_t(std::lower_bound(names_.begin(), names_.end(), label) - names_.begin());
    } else {
      check(names_[size_t(place)] == label, Fault::input, file, ": folder ", in_quotes(folder), " is class ",
            label, " there, and in the byte order of the folders' names its place is that of class ",
            names_[size_t(place)], "; write classes by name");
    }
    by_folder_.emplace(folder, place);
    called.push_back(file_of(folder));
  }
  if (!by_number_.empty()) names_ = called;
}

int32_t ListedClasses::numbered(const LabelledFile& line, const FoundPicture& picture,
                                const std::string& file) const {
  if (line.label.empty()) {
    const auto folder = by_folder_.find(picture.folder);
    if (folder != by_folder_.end()) return folder->second;
  }
  const std::string label = label_of(line, picture);
  int64_t number = 0;
  const bool parsed = parse(label, number);
  const auto at = by_number_.find(number);
  check(parsed && at != by_number_.end(), Fault::input, file, ":", line.line, ": ", in_quotes(label),
        " is no class of the training list, which has ", names_.size(), " numbers, ",
        by_number_.begin()->first, " to ", by_number_.rbegin()->first);
  return at->second;
}

std::vector<int32_t> ListedClasses::of(const std::vector<LabelledFile>& lines,
                                       const std::vector<const FoundPicture*>& found,
                                       const std::string& file) const {
  std::vector<int32_t> classes;
  if (by_number_.empty()) {
    std::vector<LabelledFile> labelled = lines;
    for (size_t i = 0; i < lines.size(); ++i) labelled[i].label = label_of(lines[i], *found[i]);
    classes = classes_of(labelled, names_, file);
  } else {
    for (size_t i = 0; i < lines.size(); ++i) classes.push_back(numbered(lines[i], *found[i], file));
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto folder = by_folder_.find(found[i]->folder);
    check(folder == by_folder_.end() || folder->second == classes[i], Fault::input, file, ":", lines[i].line,
          ": ", in_quotes(lines[i].file), " lies in the folder of class ",
          in_quotes(folder == by_folder_.end() ? "" : names_[size_t(folder->second)]), ", and is ",
          in_quotes(names_[size_t(classes[i])]), " here");
  }
  return classes;
}

}  // namespace retort
