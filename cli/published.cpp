#include "distill/report/published.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"

namespace retort {

namespace {

// The rows of a pair, of all pairs that a network is part of, or of a method.
std::vector<Published> rows_of(const std::string& wanted) {
  std::vector<Published> rows;
  std::vector<std::string> names;
  for (const Published& row : published_results()) {
    const bool part = row.pair.starts_with(wanted + "-") || row.pair.ends_with("-" + wanted);
    if (wanted.empty() || row.pair == wanted || row.method == wanted || part) rows.push_back(row);
    for (const std::string& name : {row.pair, row.method}) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  check(!rows.empty(), Fault::usage, "published: nothing is known of '", wanted, "'; ",
        suggestion(wanted, names, "`retort published` lists all pairs"));
  return rows;
}

// A table for each pair; where one method is asked for, one for all pairs.
std::string full_text(const std::vector<Published>& rows, bool of_method) {
  std::vector<std::pair<std::string, TextTable>> tables;
  for (const Published& row : rows) {
    const std::string pair = row.pair + (row.data() == "imagenet" ? ", ImageNet" : ", CIFAR-100");
    const std::string method = row.method == "ce" ? "ce (alone)" : row.method;
    const std::string& heading = of_method ? method : pair;
    if (tables.empty() || tables.back().first != heading)
      tables.push_back(
          {heading, TextTable({of_method ? "pair" : "method", "top-1", "over kd", "epochs", "source"})});
    const auto kd = find_published(row.pair, "kd");
    const bool itself = row.method == "kd" || row.method == "teacher" || row.method == "ce";
    tables.back().second.add_row({of_method ? pair : method, fixed(row.top1, 2),
                                  kd && !itself ? signed_number(row.top1 - kd->top1, 2) : "-",
                                  std::to_string(row.epochs), row.source});
  }
  std::string all;
  for (const auto& [heading, table] : tables)
    all += (all.empty() ? "" : "\n") + heading + "\n\n" + table.plain();
  return all;
}

// One line a pair: what was reached without a teacher, with kd, and at best.
std::string overview_text(const std::vector<Published>& rows) {
  TextTable table({"pair", "teacher", "alone", "kd", "best", "by", "methods"});
  for (size_t i = 0; i < rows.size();) {
    size_t end = i;
    const Published* best = nullptr;
    int taught = 0;
    for (; end < rows.size() && rows[end].pair == rows[i].pair; ++end) {
      const bool method = rows[end].method != "teacher" && rows[end].method != "ce";
      taught += method;
      if (method && (!best || rows[end].top1 > best->top1)) best = &rows[end];
    }
    const auto cell = [&](const char* method) {
      const auto row = find_published(rows[i].pair, method);
      return row ? fixed(row->top1, 2) : std::string("-");
    };
    table.add_row({rows[i].pair, cell("teacher"), cell("ce"), cell("kd"), best ? fixed(best->top1, 2) : "-",
                   best ? best->method : "", std::to_string(taught)});
    i = end;
  }
  return table.plain();
}

}  // namespace

int run_published(const Arguments& arguments) {
  Options options(
      "published", "top-1 accuracies on CIFAR-100 and ImageNet as papers print them, in percent",
      {"retort published", "retort published resnet56-resnet20", "retort published resnet8x4 --json"});
  std::vector<std::string> names;
  bool json = false;
  options.positional("PAIR", "TEACHER-STUDENT, or all with a network or of a method; none: one line a pair",
                     names);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(names.size() <= 1, Fault::usage, "published: ", names.size(), " names are given, expected one PAIR");
  const std::vector<Published> rows = rows_of(names.empty() ? "" : names[0]);
  if (!json) {
    const bool of_method = !names.empty() && rows[0].method == names[0];
    print(names.empty() ? overview_text(rows) : full_text(rows, of_method));
    return 0;
  }
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const Published& row : rows) {
    results.push_back({{"pair", row.pair},
                       {"method", row.method},
                       {"data", row.data()},
                       {"top1", row.top1},
                       {"epochs", row.epochs},
                       {"source", row.source}});
  }
  print_json({{"results", results}});
  return 0;
}

}  // namespace retort
