// The page's tables: results, parts of PCD, published numbers; and what they say in sentences.
#include <algorithm>
#include <set>

#include "distill/report/figures.h"
#include "distill/report/headline.h"
#include "distill/report/html_table.h"
#include "distill/report/latex.h"
#include "distill/report/page.h"
#include "distill/report/published.h"
#include "distill/report/sections.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr const char* picture_links =
    "\n<a href=\"headline.png\">Picture to share</a> <a href=\"headline.svg\">as SVG</a>";

std::string first_text(const std::optional<EpochResult>& result) {
  return result && result->measured() ? result->values[0].metric.number(result->first()) : "–";
}

// "3", "2 of 3 (others not run)", "0 of 2 (diverged)".
std::string row_state(const ResultRow& row) {
  std::string other;
  size_t copies = 0;
  for (const ResultRun& run : row.runs) {
    copies += !run.left_out.empty();
    if (!run.finished() && (other.empty() || run.status == "diverged" || run.status == "failed"))
      other = run.status;
  }
  std::string state = std::to_string(row.finished());
  if (!other.empty())
    state += text(" of ", row.runs.size(), " (", other == "missing" ? "others not run" : other, ")");
  copies += size_t(std::count_if(row.extra.begin(), row.extra.end(), [](const ResultRun& run) {
    return run.left_out.starts_with("the weights");
  }));
  if (copies > 0)
    state += text(copies == 1 ? ", a copy" : ", " + std::to_string(copies) + " copies", " not counted");
  return state;
}

// A verdict as a label of its own, coloured and in words.
std::string verdict_html(const Comparison& comparison) {
  const std::string words = verdict_text(comparison);
  if (words.empty()) return "";
  if (!comparison.apart.empty()) return "<span class=\"apart\">" + escaped_markup(words) + "</span>";
  const Verdict verdict = verdict_of(comparison.last);
  const char* kind = verdict == Verdict::better ? "better" : verdict == Verdict::worse ? "worse" : "unsure";
  return text("<span class=\"verdict ", kind, "\">", words, "</span>");
}

bool any_comparable(const ResultPair& pair) {
  return std::any_of(pair.rows.begin(), pair.rows.end(), [&](const ResultRow& row) {
    const PublishedBeside b = published_beside(pair, row);
    return b.published && b.departs.empty();
  });
}

std::string results_table(const ResultPair& pair) {
  const bool comparable = any_comparable(pair);
  HtmlTable table("wide sortable stack", "units");
  table.column(pair.student, Column::text, true);
  for (const char* name : {"best epoch", "last epoch"}) table.column(name, Column::number, true);
  table.column("seeds", Column::text, true);
  table.column("last, to KD", Column::number, true);
  table.column("verdict", Column::text, true);
  table.column("best, to KD", Column::number, true);
  if (comparable) {
    for (const char* name : {"published", "best − published"}) table.column(name, Column::number, true);
  }
  const auto cell = [&](const std::string& content) { table.cell(escaped_markup(content)); };
  if (!pair.teacher.empty()) {
    const Summary teacher = pair.teacher_summary.value_or(Summary{});
    table.row("dim");
    table.head("teacher " + escaped_markup(pair.teacher));
    cell(first_text(teacher.best));
    cell(first_text(teacher.last));
    cell(pair.teacher_summary ? "1" : "–");
    for (int empty = comparable ? 5 : 3; empty > 0; --empty) cell("");
  }
  const std::vector<int> colours = row_colours(pair);
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const ResultRow& row = pair.rows[r];
    const Comparison d = against_kd(pair, row);
    const std::vector<double> best = row.values(&Summary::best);
    table.row();
    table.head(swatch(colours[r]) + escaped_markup(row.method == "ce" ? row.label + " (alone)" : row.label));
    cell(mean_cell(row, &Summary::best, "–"));
    cell(mean_cell(row, &Summary::last, "–"));
    cell(row_state(row));
    cell(difference_text(d.last));
    table.cell(verdict_html(d));
    cell(difference_text(d.best));
    if (!comparable) continue;
    const PublishedBeside b = published_beside(pair, row);
    const bool fits = b.published && b.departs.empty();
    cell(fits ? fixed(b.published->top1, 2) : "");
    cell(fits && !best.empty() ? signed_number(mean_of(best) - b.published->top1, 2) : "");
  }
  return table.finish();
}

// All pairs at a glance: best epoch, pairs downwards, methods across.
std::string overview_table(const Results& data) {
  std::vector<std::string> labels;
  for (const ResultPair& pair : data.pairs) {
    for (const ResultRow& row : pair.rows) {
      if (std::find(labels.begin(), labels.end(), row.label) == labels.end()) labels.push_back(row.label);
    }
  }
  HtmlTable table("wide stack");
  table.column("best epoch");
  table.column("teacher", Column::number);
  for (const std::string& label : labels) table.column(label, Column::number);
  for (const ResultPair& pair : data.pairs) {
    table.row();
    table.head(escaped_markup(pair.name));
    table.cell("<span class=\"dim\">" + first_text(pair.teacher_summary.value_or(Summary{}).best) +
               "</span>");
    for (const std::string& label : labels) {
      const auto row = std::find_if(pair.rows.begin(), pair.rows.end(),
                                    [&](const ResultRow& one) { return one.label == label; });
      table.cell(row == pair.rows.end() ? "" : mean_cell(*row, &Summary::best, "–"));
    }
  }
  return table.finish();
}

// What the reader should know first, by the last epoch: a sentence a pair.
std::string findings(const Report& report) {
  std::string items;
  for (const ResultPair& pair : report.data.pairs) {
    std::vector<std::string> better, worse, unsure, single;
    size_t seeds = 0;
    for (const ResultRow& row : pair.rows) {
      const Comparison d = against_kd(pair, row);
      if (d.last.n == 0 || row.method == "ce") continue;
      seeds = std::max(seeds, d.last.n);
      const std::string name = "<b>" + escaped_markup(row.label) + "</b>";
      const std::string how_far = name + " " + escaped_markup(difference_text(d.last));
      switch (verdict_of(d.last)) {
        case Verdict::better:
          better.push_back(how_far);
          break;
        case Verdict::worse:
          worse.push_back(how_far);
          break;
        case Verdict::cannot_tell:
          unsure.push_back(name);
          break;
        case Verdict::unknown:
          single.push_back(how_far);
      }
    }
    std::vector<std::string> parts;
    if (!better.empty()) parts.push_back("<span class=\"better\">better</span> " + listed(better));
    if (!worse.empty()) parts.push_back("<span class=\"worse\">worse</span> " + listed(worse));
    if (!unsure.empty()) parts.push_back("these seeds cannot tell " + listed(unsure) + " from it");
    if (!single.empty())
      parts.push_back(listed(single) + ": one seed, or seeds that differ alike, say nothing");
    if (parts.empty()) continue;
    std::string sentence;
    for (const std::string& part : parts) sentence += (sentence.empty() ? "" : "; ") + part;
    items += "<p class=\"finding\">" +
             (report.data.pairs.size() > 1 ? escaped_markup(pair.name) + ": " : std::string()) +
             text("Against plain KD, ", escaped_markup(pair.metric().of_differences()),
                  " at the last epoch, ", seeds, seeds == 1 ? " seed: " : " seeds: ") +
             sentence + ".</p>\n";
  }
  return items;
}

std::string missing_note(const Report& report) {
  const std::vector<std::string> sentences = missing_sentences(report);
  if (sentences.empty()) return "";
  std::string items;
  for (const std::string& sentence : sentences) items += "<li>" + escaped_markup(sentence) + "</li>\n";
  const bool many = sentences.size() > 8;
  return "<div class=\"note\"><b>Not complete, or not compared.</b>" +
         (many ? text("<details><summary>", sentences.size(), " entries</summary><ul>", items,
                      "</ul></details>")
               : "<ul>" + items + "</ul>") +
         "</div>\n";
}

}  // namespace

std::string results_section(const Report& report) {
  const Results& data = report.data;
  std::string tables = data.pairs.size() > 1 ? overview_table(data) : "";
  for (const ResultPair& pair : data.pairs) {
    if (data.pairs.size() > 1) tables += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    tables += results_table(pair);
  }
  return section("results.html", {{"findings", findings(report)},
                                  {"missing", missing_note(report)},
                                  {"score", escaped_markup(score_words(data))},
                                  {"unit", unit_words(data)},
                                  {"tables", tables},
                                  {"picture", headline(report.data) ? picture_links : ""},
                                  {"markdown", escaped_lines(report_markdown(report))},
                                  {"latex", escaped_lines(report_latex(report))}});
}

std::string ablation_section(const Report& report) {
  HtmlTable table("wide stack");
  table.column("question", Column::prose);
  table.column("compared");
  const std::string points = difference_words(report.data);
  for (const std::string& name : {"last epoch, " + points, "best epoch, " + points, std::string("seeds")})
    table.column(name, Column::number);
  for (const ResultPair& pair : report.data.pairs) {
    for (const AblationAnswer& a : ablation_answers(pair)) {
      table.row();
      table.cell(
          "<b>" + escaped_markup(a.question) + "</b><br>" + escaped_markup(a.answer) +
          (a.remark.empty() ? "" : "<br><span class=\"dim small\">" + escaped_markup(a.remark) + "</span>"));
      table.cell("<span>" + escaped_markup(a.with) + "<br><span class=\"dim\">against " +
                 escaped_markup(a.without) + "</span></span>");
      table.cell(escaped_markup(difference_text(a.last)));
      table.cell(escaped_markup(difference_text(a.best)));
      table.cell(std::to_string(a.last.n));
    }
  }
  return table.empty() ? "" : section("ablation.html", {{"table", table.finish()}});
}

std::string published_section(const Report& report) {
  HtmlTable table("stack");
  for (const char* name : {"pair", "method"}) table.column(name);
  table.column("top-1", Column::number);
  for (const char* name : {"what", "source"}) table.column(name);
  std::set<std::string> departures;
  for (const ResultPair& pair : report.data.pairs) {
    for (const ResultRow& row : pair.rows) {
      const PublishedBeside b = published_beside(pair, row);
      if (!b.published || b.departs.empty()) continue;
      departures.insert(b.departs);
      table.row("dim");
      table.head(escaped_markup(pair.name));
      table.cell(escaped_markup(row.label));
      table.cell(fixed(b.published->top1, 2));
      table.cell(text("published, ", b.published->epochs, " epochs"));
      table.cell(escaped_markup(b.published->source));
    }
  }
  if (table.empty()) return "";
  std::string why;
  for (const std::string& one : departures) why += (why.empty() ? "" : "; ") + one;
  return section("published.html", {{"why", escaped_markup(why)}, {"table", table.finish()}});
}

}  // namespace retort
