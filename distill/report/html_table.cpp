#include "distill/report/html_table.h"

#include <utility>

#include "distill/text/markup.h"
#include "engine/base/check.h"

namespace retort {

HtmlTable::HtmlTable(std::string kind, std::string described_by)
    : kind_(std::move(kind)), described_by_(std::move(described_by)) {}

void HtmlTable::column(const std::string& name, Column kind, bool sorted) {
  check(body_.empty(), "HtmlTable: column ", name, " comes after a row");
  columns_.push_back({name, kind});
  const std::string shown = escaped_markup(name);
  heads_ += text("<th scope=\"col\"", kind == Column::number ? " class=\"n\">" : ">",
                 sorted ? "<button type=\"button\" class=\"sort\">" + shown + "</button>" : shown, "</th>");
}

void HtmlTable::row(const std::string& kind) {
  check(body_.empty() || next_ == columns_.size(), "HtmlTable: a row of ", next_, " cells in ",
        columns_.size(), " columns");
  body_ += body_.empty() ? "" : "</tr>\n";
  body_ += kind.empty() ? "<tr>" : "<tr class=\"" + kind + "\">";
  next_ = 0;
}

void HtmlTable::head(const std::string& html) {
  ++next_;
  body_ += "<th scope=\"row\">" + html + "</th>";
}

void HtmlTable::cell(const std::string& html) {
  check(next_ < columns_.size(), "HtmlTable: a cell beyond the ", columns_.size(), " columns");
  const Head& column = columns_[next_++];
  body_ += column.kind == Column::number  ? "<td class=\"n\""
           : column.kind == Column::prose ? "<td class=\"prose\""
                                          : "<td";
  // On a phone an empty cell is left out.
  if (!html.empty()) body_ += " data-label=\"" + escaped_markup(column.name) + "\"";
  body_ += ">" + html + "</td>";
}

std::string HtmlTable::finish() const {
  const std::string describes = described_by_.empty() ? "" : " aria-describedby=\"" + described_by_ + "\"";
  return "<div class=\"scroll\" tabindex=\"0\"><table" + (kind_.empty() ? "" : " class=\"" + kind_ + "\"") +
         describes + ">\n<thead><tr>" + heads_ + "</tr></thead>\n<tbody>\n" + body_ +
         (body_.empty() ? "" : "</tr>\n") + "</tbody></table></div>\n";
}

}  // namespace retort
