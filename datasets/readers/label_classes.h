// Which class a label in a text file means: a name, or a number.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "datasets/readers/label_files.h"
#include "datasets/readers/picture_walk.h"

namespace retort {

// The classes of a file's lines: all labels are names, or all are numbers from 0 in the order of the names.
// Fault::input, naming file and line, for a label that is neither, for a name among numbers, and for a number
// beyond the classes. `names` is not empty.
std::vector<int32_t> classes_of(const std::vector<LabelledFile>& lines, const std::vector<std::string>& names,
                                const std::string& file);

// What the labels of lists mean, which the training list says for both. A line without a label is of the
// class that its folder stands for.
class ListedClasses {
 public:
  // found: each line's picture. Names, of folders or not, are classes in byte order, whole numbers in their
  // own. Numbers that stand one for each folder are those folders, and have to ascend with the folders'
  // names: Fault::input, naming `file`.
  ListedClasses(const std::vector<LabelledFile>& lines, const std::vector<const FoundPicture*>& found,
                const std::string& file);

  const std::vector<std::string>& names() const { return names_; }
  // Of the training list's lines, or another's: Fault::input for a label that the training list has not, and
  // for a picture in a training folder of another class than its label's.
  std::vector<int32_t> of(const std::vector<LabelledFile>& lines,
                          const std::vector<const FoundPicture*>& found, const std::string& file) const;

 private:
  int32_t numbered(const LabelledFile& line, const FoundPicture& picture, const std::string& file) const;

  std::vector<std::string> names_;
  std::map<int64_t, int32_t> by_number_;  // empty where labels are names
  std::unordered_map<std::string, int32_t>
      by_folder_;  // path below the root; empty where folders hold several
};

}  // namespace retort
