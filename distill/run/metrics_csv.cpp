#include "distill/run/metrics_csv.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <string_view>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {
namespace {

constexpr std::string_view fixed_columns =
    "epoch,lr,train_loss,train_acc,test_loss,test_acc,test_acc_top5,seconds";
constexpr std::string_view columns_of_boxes = "epoch,lr,train_loss,AP,AP50,AP75,seconds";

std::string_view columns_of(bool boxes) {
  return boxes ? columns_of_boxes : fixed_columns;
}

// The numbers of a row behind its epoch and before its terms, in the columns' order.
std::vector<double EpochMetrics::*> numbers_of(bool boxes) {
  using M = EpochMetrics;
  if (boxes) return {&M::lr, &M::train_loss, &M::test_acc, &M::test_acc_top5, &M::test_loss, &M::seconds};
  return {&M::lr, &M::train_loss, &M::train_acc, &M::test_loss, &M::test_acc, &M::test_acc_top5, &M::seconds};
}

// An empty table knows it by the first of a detector's losses.
bool of_boxes(const MetricsTable& table) {
  if (table.rows.empty()) return !table.terms.empty() && table.terms.front() == "rpn_cls";
  return table.rows.front().boxes;
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  for (size_t comma; (comma = line.find(',')) != line.npos; line.remove_prefix(comma + 1))
    cells.push_back(line.substr(0, comma));
  cells.push_back(line);
  return cells;
}

std::string header_of(const std::vector<std::string>& terms, bool boxes) {
  std::string header(columns_of(boxes));
  for (const std::string& term : terms) header += ',' + term;
  return header;
}

std::string line_of(const EpochMetrics& row) {
  std::string line = std::to_string(row.epoch);
  EpochMetrics shown = row;
  shown.seconds = std::round(row.seconds * 1000) / 1000;
  for (const auto number : numbers_of(row.boxes)) line += ',' + exact_decimal(shown.*number);
  for (double value : row.terms) line += ',' + exact_decimal(value);
  return line + '\n';
}

}  // namespace

MetricsTable read_metrics(const std::filesystem::path& file) {
  return parse_metrics(read_text_file(file, uint64_t{1} << 28), file.string());
}

std::string metrics_text(const MetricsTable& table) {
  std::string content = header_of(table.terms, of_boxes(table)) + '\n';
  for (const EpochMetrics& row : table.rows) content += line_of(row);
  return content;
}

std::vector<int> epochs_that_differ(const MetricsTable& found, const MetricsTable& expected, int last) {
  const auto lines = [&](const MetricsTable& table) {
    std::map<int, std::string> all;
    for (EpochMetrics row : table.rows) {
      row.seconds = 0;
      all[row.epoch] = line_of(row);
    }
    return all;
  };
  std::vector<int> epochs;
  const auto there = lines(found), wanted = lines(expected);
  for (const auto& [epoch, line] : wanted) {
    const auto own = there.find(epoch);
    if (epoch <= last && (own == there.end() || own->second != line)) epochs.push_back(epoch);
  }
  return epochs;
}

MetricsTable parse_metrics(const std::string& content, const std::string& file) {
  std::string_view rest = content;
  MetricsTable table;
  bool boxes = false;
  size_t fixed_count = 0;
  for (int number = 1; rest.find('\n') != rest.npos; ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);  // an editor was here
    const std::vector<std::string_view> cells = split(line);
    if (number == 1) {
      boxes = line.starts_with(columns_of_boxes);
      const std::string_view expected = columns_of(boxes);
      const bool ok = line == expected || line.starts_with(std::string(expected) + ',');
      check(ok, Fault::input, file, ": line 1: expected the columns ", expected);
      fixed_count = 1 + numbers_of(boxes).size();
      table.terms.assign(cells.begin() + std::ptrdiff_t(fixed_count), cells.end());
      continue;
    }
    const size_t columns = fixed_count + table.terms.size();
    check(cells.size() == columns, Fault::input, file, ": line ", number, ": ", cells.size(),
          " columns, expected ", columns);
    EpochMetrics row;
    row.boxes = boxes;
    if (boxes) row.train_acc = std::numeric_limits<double>::quiet_NaN();
    row.terms.resize(table.terms.size());
    std::vector<double*> fields;
    for (const auto known : numbers_of(boxes)) fields.push_back(&(row.*known));
    for (double& term : row.terms) fields.push_back(&term);
    size_t bad = parse(cells[0], row.epoch) ? columns : 0;
    for (size_t i = 1; i < columns; ++i)
      if (!parse(cells[i], *fields[i - 1])) bad = std::min(bad, i);
    check(bad == columns, Fault::input, file, ": line ", number, ", column ", bad + 1, ": expected a number");
    check(table.rows.empty() || row.epoch > table.rows.back().epoch, Fault::input, file, ": line ", number,
          ": epoch ", row.epoch, " after epoch ", table.rows.empty() ? 0 : table.rows.back().epoch,
          ", expected a later one");
    table.rows.push_back(std::move(row));
  }
  return table;
}

MetricsCsv::MetricsCsv(const std::filesystem::path& file, const std::vector<std::string>& terms,
                       int first_epoch, const MetricsTable* known)
    : file_(file) {
  for (const std::string& term : terms)
    check(!term.empty() && term.find_first_of(",\"\r\n") == term.npos, "MetricsCsv: the loss term '", term,
          "' cannot name a column");
  if (known)
    table_ = *known;
  else if (std::filesystem::exists(file))
    table_ = read_metrics(file);
  std::erase_if(table_.rows, [&](const EpochMetrics& row) { return row.epoch >= first_epoch; });
  if (table_.rows.empty()) table_.terms = terms;
  const bool boxes = of_boxes(table_);
  check(table_.terms == terms, Fault::input, file.string(), ": line 1: columns ",
        header_of(table_.terms, boxes), ", expected ", header_of(terms, boxes));
  write_file(file, metrics_text(table_));
}

void MetricsCsv::append(const EpochMetrics& row) {
  check(row.terms.size() == table_.terms.size(), "MetricsCsv: ", row.terms.size(), " loss terms, expected ",
        table_.terms.size());
  check(table_.rows.empty() || row.epoch > table_.rows.back().epoch, "MetricsCsv: epoch ", row.epoch,
        " after epoch ", table_.rows.empty() ? 0 : table_.rows.back().epoch);
  append_to_file(file_, line_of(row));
  table_.rows.push_back(row);
}

}  // namespace retort
