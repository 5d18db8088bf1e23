// The page's sections that come from checkpoints: classes, and PCD at work.
#include <algorithm>
#include <iterator>

#include "distill/report/class_findings.h"
#include "distill/report/figures.h"
#include "distill/report/html_table.h"
#include "distill/report/page.h"
#include "distill/report/sections.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "models/detection/detector.h"

namespace retort {

namespace {

std::string class_name(const Report& report, size_t pair, size_t label) {
  const std::vector<std::string>& names = report.evaluations.pairs[pair].class_names;
  return label < names.size() ? names[label] : std::to_string(label);
}

std::string class_table(const Report& report, const std::vector<ClassFinding>& findings) {
  const ClassFinding& first = findings.front();
  const ResultPair& pair = report.data.pairs[first.pair];
  HtmlTable table;
  table.column("class");
  table.column("teacher's confidence, %", Column::number);
  for (const ClassFinding& finding : findings) table.column(pair.rows[finding.row].label, Column::number);
  for (const size_t c : first.classes) {
    table.row();
    table.head(escaped_markup(class_name(report, first.pair, c)));
    table.cell(fixed(100 * first.confidence[c], 1));
    for (const ClassFinding& finding : findings) table.cell(signed_number(finding.gains[c], 1));
  }
  return "<details><summary>All classes as a table</summary>" + table.finish() + "</details>\n";
}

// One pair's findings: what they say, and a figure of each method.
std::string pair_classes(const Report& report, const std::vector<ClassFinding>& findings) {
  const ResultPair& pair = report.data.pairs[findings.front().pair];
  HtmlTable table("stack");
  table.column("method");
  for (const char* name : {"rank correlation", "least sure third", "surest third"})
    table.column(name, Column::number);
  table.column("what it says", Column::prose);
  const std::vector<int> colours = row_colours(pair);
  std::vector<std::vector<ClassPoint>> points;
  ClassScales scales;
  for (const ClassFinding& f : findings) {
    std::vector<ClassPoint> own;
    for (const size_t c : f.classes)
      own.push_back({class_name(report, f.pair, c), f.confidence[c], f.gains[c]});
    scales.add(own);
    points.push_back(std::move(own));
  }
  scales.settle();
  std::string figures;
  for (size_t i = 0; i < findings.size(); ++i) {
    const ClassFinding& f = findings[i];
    const std::string& label = pair.rows[f.row].label;
    table.row();
    table.head(swatch(colours[f.row]) + escaped_markup(label));
    table.cell(correlation_text(f.correlation));
    table.cell(signed_number(f.low_third, 2));
    table.cell(signed_number(f.high_third, 2));
    table.cell(escaped_markup(correlation_verdict(f.correlation, label, f.seeds)));
    figures += "<figure><figcaption><b>" + swatch(colours[f.row]) + escaped_markup(label) +
               "</b>, n = " + std::to_string(f.correlation.n) + " classes</figcaption>" +
               class_gain_figure(label + ": gain over KD by the teacher's confidence", colours[f.row],
                                 points[i], scales) +
               "</figure>\n";
  }
  return table.finish() + "<div class=\"panels\">" + figures + "</div>\n" + class_table(report, findings);
}

std::string group_table(const PcdSteps& steps, const Report& report, size_t pair) {
  HtmlTable table;
  for (const char* name : {"stage", "group", "classes"}) table.column(name, Column::number);
  table.column("begins with");
  for (const char* name : {"λ", "KL", "share of the loss"}) table.column(name, Column::number);
  for (size_t k = 0; k < steps.stages.size(); ++k) {
    for (size_t g = 0; g < steps.stages[k].size(); ++g) {
      const PcdGroup& group = steps.stages[k][g];
      table.row();
      for (const size_t number : {k + 1, g + 1, size_t(group.count)}) table.cell(std::to_string(number));
      table.cell(escaped_markup(class_name(report, pair, size_t(steps.order[size_t(group.first)]))));
      table.cell(significant(group.lambda, 3));
      table.cell(significant(group.kl, 3));
      table.cell(fixed(steps.loss > 0 ? 100 * group.loss / steps.loss : 0, 1) + " %");
    }
  }
  return "<details><summary>All groups as a table</summary>" + table.finish() + "</details>\n";
}

size_t likeliest_class(const std::vector<double>& logits) {
  return size_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

std::string classes_section(const Report& report) {
  if (std::all_of(report.data.pairs.begin(), report.data.pairs.end(),
                  [](const ResultPair& pair) { return is_detector(pair.student); }))
    return "";
  std::string content;
  const std::vector<ClassFinding> all = class_findings(report);
  for (size_t p = 0; p < report.data.pairs.size(); ++p) {
    std::vector<ClassFinding> own;
    std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const auto& f) { return f.pair == p; });
    if (own.empty()) continue;
    std::stable_partition(own.begin(), own.end(), [&](const ClassFinding& f) {
      return f.seeds > 1 && (f.correlation.low > 0 || f.correlation.high < 0);
    });
    if (report.data.pairs.size() > 1)
      content += "<h3>" + escaped_markup(report.data.pairs[p].name) + "</h3>\n";
    content += pair_classes(report, own);
  }
  if (content.empty()) {
    content =
        report.evaluated
            ? "<p>There is no finished run of KD and another method with its teacher's weights yet.</p>\n"
            : "<p>Left out: no checkpoint was evaluated (--no-eval).</p>\n";
  }
  return section("classes.html", {{"content", content}});
}

std::string pcd_section(const Report& report) {
  std::string content;
  for (size_t p = 0; p < report.evaluations.pairs.size() && content.empty(); ++p) {
    const PairEvaluation& evaluation = report.evaluations.pairs[p];
    if (evaluation.chosen.empty()) continue;
    const ResultPair& pair = report.data.pairs[p];
    const ResultRow& row = pair.rows[evaluation.chosen_row];
    content += "<p>" +
               escaped_markup(text(pair.student, " taught by ", pair.teacher, ", ", row.label, ", seed ",
                                   evaluation.chosen_seed, ", at the end of its training.")) +
               "</p>\n";
    const auto name_of = [&](size_t label) { return escaped_markup(class_name(report, p, label)); };
    for (const ChosenImage& image : evaluation.chosen) {
      const PcdSteps steps = pcd_steps(row.settings->method, image.teacher, image.student);
      const std::string index = std::to_string(image.index),
                        label = class_name(report, p, size_t(image.label));
      content += section("pcd_image.html", {{"picture", picture(image, "Test image " + index + ", " + label)},
                                            {"index", index},
                                            {"reason", escaped_markup(image.reason)},
                                            {"label", escaped_markup(label)},
                                            {"teacher", name_of(likeliest_class(image.teacher))},
                                            {"student", name_of(likeliest_class(image.student))},
                                            {"loss", significant(steps.loss, 3)},
                                            {"figure", pcd_figure(steps, image, evaluation.class_names)},
                                            {"groups", group_table(steps, report, p)}});
    }
  }
  return content.empty() ? "" : section("pcd.html", {{"content", content}});
}

}  // namespace retort
