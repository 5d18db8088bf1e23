// Tables of the page. Each cell knows its column's name, so that on a narrow screen a row can be shown as a
// list of names and values.
#pragma once
#include <string>
#include <vector>

namespace retort {

enum class Column { text, number, prose };

class HtmlTable {
 public:
  // kind: classes of the table: "wide", "stack" (rows become lists on a phone), "sortable".
  explicit HtmlTable(std::string kind = "", std::string described_by = "");

  // Before the first row. Names are text; sorted: the head sorts the rows by it.
  void column(const std::string& name, Column kind = Column::text, bool sorted = false);
  // A further row; its cells are given one by one, as HTML. The first of a row may be its head.
  void row(const std::string& kind = "");
  void head(const std::string& html);
  void cell(const std::string& html);

  bool empty() const { return body_.empty(); }
  std::string finish() const;

 private:
  struct Head {
    std::string name;
    Column kind;
  };
  std::string kind_, described_by_, heads_, body_;
  std::vector<Head> columns_;
  size_t next_ = 0;  // the column of the next cell
};

}  // namespace retort
