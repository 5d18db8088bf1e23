// A table of results as aligned text, Markdown or CSV.
#pragma once
#include <string>
#include <vector>

namespace retort {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headers);

  // One cell per header, UTF-8.
  void add_row(std::vector<std::string> cells);

  // Columns of numbers ("70.12 ± 0.31", "-", "3/240") are aligned to the right, others to the left.
  std::string plain() const;
  std::string markdown() const;
  // RFC 4180, with plain line ends; a cell that a spreadsheet would take for a formula begins with an
  // apostrophe.
  std::string csv() const;

 private:
  std::vector<bool> numeric_columns() const;

  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace retort
