#include "distill/run/metrics_csv.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string_view>

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {
namespace {

// Whether it has a column of its own while training.
bool is_trained(const Metric& metric) {
  return !metric.training.empty() && !metric.is_loss();
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  for (size_t comma; (comma = line.find(',')) != line.npos; line.remove_prefix(comma + 1))
    cells.push_back(line.substr(0, comma));
  cells.push_back(line);
  return cells;
}

std::string header_of(const Metrics& metrics, const std::vector<std::string>& terms = {}) {
  EpochMetrics row;
  row.tested = valued(metrics, std::vector<double>(metrics.size()));
  std::string header = "epoch,lr";
  for (const auto& [column, value] : measured_in(row)) header += ',' + column;
  header += ",seconds";
  for (const std::string& term : terms) header += ',' + term;
  return header;
}

std::string line_of(const EpochMetrics& row) {
  std::string line = std::to_string(row.epoch) + ',' + exact_decimal(row.lr);
  for (const auto& [column, value] : measured_in(row)) line += ',' + exact_decimal(value);
  line += ',' + exact_decimal(std::round(row.seconds * 1000) / 1000);
  for (double value : row.terms) line += ',' + exact_decimal(value);
  return line + '\n';
}

bool is_known_column(const std::string& column) {
  for (const Metrics& known : known_metrics())
    for (const Metric& metric : known)
      if (column == metric.column || column == metric.training) return true;
  return false;
}

// The metrics that a header names: a list of known ones whole, or others alone.
Metrics metrics_of_header(const std::string& header, const std::string& file) {
  for (const Metrics& known : known_metrics())
    if ((header + ',').starts_with(header_of(known) + ',')) return known;
  const std::string begin = "epoch,lr,train_loss,";
  Metrics metrics;
  std::string training;
  bool ends = false, sound = true;
  if (header.starts_with(begin)) {
    for (const std::string_view cell : split(std::string_view(header).substr(begin.size()))) {
      const std::string column(cell);
      if ((ends = column == "seconds")) break;
      sound = sound && !column.empty() && !is_known_column(column) &&
              std::none_of(metrics.begin(), metrics.end(), [&](const Metric& m) { return m.name == column; });
      if (metrics.empty() && training.empty() && column.starts_with("train_"))
        training = column;
      else
        metrics.push_back(metric_named(column));
    }
  }
  check(ends && sound && !metrics.empty(), Fault::input, file, ": line 1: expected the columns ",
        header_of(classification_metrics()));
  metrics[0].training = training;
  return metrics;
}

// numbers: the cells of a line behind its epoch.
EpochMetrics row_of(const MetricsTable& table, int epoch, const std::vector<double>& numbers) {
  EpochMetrics row{.epoch = epoch, .lr = numbers[0], .train_loss = numbers[1], .tested = {}, .terms = {}};
  auto next = numbers.begin() + 2;
  if (is_trained(table.metrics[0])) row.trained = *next++;
  row.tested = valued(table.metrics, std::vector<double>(table.metrics.size()));
  const MetricValues columns = in_columns(row.tested);
  for (const MetricValue& column : columns) {
    for (MetricValue& one : row.tested)
      if (one.metric.name == column.metric.name) one.value = *next;
    ++next;
  }
  row.seconds = *next++;
  row.terms.assign(next, numbers.end());
  return row;
}

}  // namespace

NamedNumbers measured_in(const EpochMetrics& row) {
  NamedNumbers all = {{"train_loss", row.train_loss}};
  if (!row.tested.empty() && is_trained(row.tested[0].metric))
    all.emplace_back(row.tested[0].metric.training, row.trained);
  for (const MetricValue& one : in_columns(row.tested)) all.emplace_back(one.metric.column, one.value);
  return all;
}

MetricsTable read_metrics(const std::filesystem::path& file) {
  return parse_metrics(read_text_file(file, uint64_t{1} << 28), file.string());
}

std::string metrics_text(const MetricsTable& table) {
  std::string content = header_of(table.metrics, table.terms) + '\n';
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
  size_t fixed_count = 0;
  for (int number = 1; rest.find('\n') != rest.npos; ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);  // an editor was here
    const std::vector<std::string_view> cells = split(line);
    if (number == 1) {
      table.metrics = metrics_of_header(std::string(line), file);
      fixed_count = split(header_of(table.metrics)).size();
      table.terms.assign(cells.begin() + std::ptrdiff_t(fixed_count), cells.end());
      continue;
    }
    const size_t columns = fixed_count + table.terms.size();
    check(cells.size() == columns, Fault::input, file, ": line ", number, ": ", cells.size(),
          " columns, expected ", columns);
    int epoch = 0;
    std::vector<double> numbers(columns - 1);
    size_t bad = parse(cells[0], epoch) ? columns : 0;
    for (size_t i = 1; i < columns; ++i)
      if (!parse(cells[i], numbers[i - 1])) bad = std::min(bad, i);
    check(bad == columns, Fault::input, file, ": line ", number, ", column ", bad + 1, ": expected a number");
    check(table.rows.empty() || epoch > table.rows.back().epoch, Fault::input, file, ": line ", number,
          ": epoch ", epoch, " after epoch ", table.rows.empty() ? 0 : table.rows.back().epoch,
          ", expected a later one");
    table.rows.push_back(row_of(table, epoch, numbers));
  }
  return table;
}

MetricsCsv::MetricsCsv(const std::filesystem::path& file, const Metrics& metrics,
                       const std::vector<std::string>& terms, int first_epoch, const MetricsTable* known)
    : file_(file) {
  std::vector<std::string> columns = terms;
  for (const Metric& metric : metrics) columns.push_back(metric.column);
  for (const std::string& name : columns)
    check(!name.empty() && name.find_first_of(",\"\r\n") == name.npos, "MetricsCsv: '", name,
          "' cannot name a column");
  if (known)
    table_ = *known;
  else if (std::filesystem::exists(file))
    table_ = read_metrics(file);
  std::erase_if(table_.rows, [&](const EpochMetrics& row) { return row.epoch >= first_epoch; });
  const std::string expected = header_of(metrics, terms),
                    found = table_.rows.empty() ? expected : header_of(table_.metrics, table_.terms);
  check(found == expected, Fault::input, file.string(), ": line 1: columns ", found, ", expected ", expected);
  table_.metrics = metrics;
  table_.terms = terms;
  write_file(file, metrics_text(table_));
}

void MetricsCsv::append(const EpochMetrics& row) {
  check(row.terms.size() == table_.terms.size() && row.tested.size() == table_.metrics.size(),
        "MetricsCsv: ", row.terms.size(), " loss terms and ", row.tested.size(), " metrics, expected ",
        table_.terms.size(), " and ", table_.metrics.size());
  check(table_.rows.empty() || row.epoch > table_.rows.back().epoch, "MetricsCsv: epoch ", row.epoch,
        " after epoch ", table_.rows.empty() ? 0 : table_.rows.back().epoch);
  append_to_file(file_, line_of(row));
  table_.rows.push_back(row);
}

}  // namespace retort
