#include "distill/text/text_table.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {
namespace {

bool is_number(std::string_view cell) {
  for (std::string_view sign : {"+", "-", "−", "<", "~"})
    if (cell.starts_with(sign)) {
      cell.remove_prefix(sign.size());
      break;
    }
  return !cell.empty() && cell.front() >= '0' && cell.front() <= '9';
}

bool is_blank(std::string_view cell) {
  return cell.empty() || cell == "-" || cell == "–";
}

// A spreadsheet takes a cell that begins so for a formula, unless it is a number; an apostrophe makes it
// text.
std::string as_no_formula(const std::string& cell) {
  const bool suspicious =
      !cell.empty() && std::string_view("=+-@").find(cell.front()) != std::string_view::npos;
  double number = 0;
  const char* first = cell.data() + (suspicious && cell.front() == '+' ? 1 : 0);
  const auto [end, error] = std::from_chars(first, cell.data() + cell.size(), number);
  const bool whole_number = error == std::errc() && end == cell.data() + cell.size();
  return suspicious && cell != "-" && !whole_number ? "'" + cell : cell;
}

std::string padded(const std::string& cell, size_t width, bool right) {
  const std::string space(width - std::min(width, display_width(cell)), ' ');
  return right ? space + cell : cell + space;
}

}  // namespace

TextTable::TextTable(std::vector<std::string> headers) : headers_(std::move(headers)) {
  for (std::string& header : headers_) header = one_line(header);
}

void TextTable::add_row(std::vector<std::string> cells) {
  check(cells.size() == headers_.size(), "TextTable: ", cells.size(), " cells, expected ", headers_.size());
  // A row is a line, whatever a cell holds.
  for (std::string& cell : cells) cell = one_line(cell);
  rows_.push_back(std::move(cells));
}

std::vector<bool> TextTable::numeric_columns() const {
  std::vector<bool> numeric(headers_.size());
  for (size_t column = 0; column < headers_.size(); ++column) {
    const auto fits = [&](const auto& row) { return is_number(row[column]) || is_blank(row[column]); };
    const auto counts = [&](const auto& row) { return is_number(row[column]); };
    numeric[column] =
        std::all_of(rows_.begin(), rows_.end(), fits) && std::any_of(rows_.begin(), rows_.end(), counts);
  }
  return numeric;
}

std::string TextTable::plain() const {
  const std::vector<bool> numeric = numeric_columns();
  std::vector<size_t> widths;
  std::vector<std::string> rules;
  for (size_t column = 0; column < headers_.size(); ++column) {
    size_t width = display_width(headers_[column]);
    for (const auto& row : rows_) width = std::max(width, display_width(row[column]));
    widths.push_back(width);
    rules.push_back(std::string(width, '-'));
  }
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t column = 0; column < cells.size(); ++column)
      line += (column ? "  " : "") + padded(cells[column], widths[column], numeric[column]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  add(headers_);
  add(rules);
  for (const auto& row : rows_) add(row);
  return out;
}

std::string TextTable::markdown() const {
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    out += '|';
    for (const std::string& cell : cells) out += ' ' + escaped_markdown(cell) + " |";
    out += '\n';
  };
  add(headers_);
  out += '|';
  for (bool numeric : numeric_columns()) out += numeric ? "---:|" : "---|";
  out += '\n';
  for (const auto& row : rows_) add(row);
  return out;
}

std::string TextTable::csv() const {
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    for (size_t column = 0; column < cells.size(); ++column) {
      std::string cell = as_no_formula(cells[column]);
      if (cell.find_first_of(",\"") != cell.npos) {
        for (size_t at = 0; (at = cell.find('"', at)) != cell.npos; at += 2) cell.insert(at, 1, '"');
        cell = '"' + cell + '"';
      }
      out += (column ? "," : "") + cell;
    }
    out += '\n';
  };
  add(headers_);
  for (const auto& row : rows_) add(row);
  return out;
}

}  // namespace retort
