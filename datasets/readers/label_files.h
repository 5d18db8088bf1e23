// The small text files in which data sets of photos say which picture is of which class.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace retort {

// One line: a picture, and a class by name or number; no label: the picture's folder says it.
struct LabelledFile {
  std::string file, label;
  int line = 0;
  std::string whole = {};  // the line, where blanks alone part the two: names may hold some
};

// UTF-8 as Windows writes it, without its mark. Fault::input for UTF-16.
std::string_view without_byte_order_mark(std::string_view text, const std::string& name);

// "file LABEL" a line, parted by a tab, or by blanks; the label may be missing. Fault::input, with the reason
// for it, for a bare list of numbers, which nobody can say the order of. `name` is for messages; empty lines
// are skipped.
std::vector<LabelledFile> read_label_lines(std::string_view text, const std::string& name);

// Kaggle's LOC_val_solution.csv: "ImageId,PredictionString", then "file,class x y x y ..." a line.
std::vector<LabelledFile> read_solution_csv(std::string_view text, const std::string& name);

// Tiny-ImageNet's val_annotations.txt: file, class and a box, between tabs.
std::vector<LabelledFile> read_tab_annotations(std::string_view text, const std::string& name);

// CUB-200's files: "number value" a line, the numbers 1, 2, 3, ... in any order; the value of number n stands
// at n - 1.
std::vector<std::string> read_numbered_lines(std::string_view text, const std::string& name);

}  // namespace retort
