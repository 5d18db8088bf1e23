// The report as a page: its head, findings, tables and curves. Classes and PCD are page_parts.cpp.
#include "distill/report/page.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "distill/report/embedded.h"
#include "distill/report/figures.h"
#include "distill/report/published.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string mean_text(const std::vector<double>& values) {
  return values.empty() ? "–" : mean_and_deviation(values);
}

std::string top1_text(const std::optional<EpochResult>& result) {
  return result ? fixed(result->top1, 2) : "–";
}

double mean_seconds(const ReportRow& row) {
  std::vector<double> seconds;
  for (const ReportRun& run : row.runs) {
    if (run.finished()) seconds.push_back(run.summary.seconds);
  }
  return mean_of(seconds);
}

std::string row_state(const ReportRow& row) {
  size_t finished = 0;
  std::string other;
  for (const ReportRun& run : row.runs) {
    finished += run.finished();
    if (!run.finished() && (other.empty() || run.status == "diverged" || run.status == "failed"))
      other = run.status;
  }
  if (finished == row.runs.size()) return std::to_string(finished);
  return text(finished, " of ", row.runs.size(), " (", other == "missing" ? "others not run" : other, ")");
}

// The published number that belongs beside a row, if the row may be held against it.
struct Beside {
  std::optional<Published> published;
  std::string departs;  // why it may not
};

Beside beside(const ReportData& data, const ReportPair& pair, const ReportRow& row) {
  if (!data.is_cifar100() || !row.settings) return {};
  const std::string name = published_name(row.settings->method);
  if (name.empty()) return {};
  const std::optional<Published> published = find_published(pair.teacher + "-" + pair.student, name);
  if (!published) return {};
  return {published, departs_from_recipe(*row.settings, *published)};
}

bool any_comparable(const ReportData& data, const ReportPair& pair) {
  return std::any_of(pair.rows.begin(), pair.rows.end(), [&](const ReportRow& row) {
    const Beside b = beside(data, pair, row);
    return b.published && b.departs.empty();
  });
}

std::string swatch(size_t row) {
  return "<span class=\"swatch " + color_class(row) + "\" aria-hidden=\"true\"></span>";
}

std::string results_table(const ReportData& data, const ReportPair& pair) {
  const bool comparable = any_comparable(data, pair);
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"wide\" "
      "aria-describedby=\"units\">\n<thead><tr><th "
      "scope=\"col\">" +
      escaped_markup(pair.student) +
      "</th><th scope=\"col\" class=\"n\">best epoch</th><th scope=\"col\" class=\"n\">last epoch</th>"
      "<th scope=\"col\">seeds</th><th scope=\"col\" class=\"n\">last, to KD</th><th "
      "scope=\"col\">verdict</th>"
      "<th scope=\"col\" class=\"n\">best, to KD</th>";
  if (comparable)
    out += "<th scope=\"col\" class=\"n\">published</th><th scope=\"col\" class=\"n\">best − published</th>";
  out += "<th scope=\"col\" class=\"n\">time a run</th></tr></thead>\n<tbody>\n";
  const auto cell = [](const std::string& content) {
    return "<td class=\"n\">" + escaped_markup(content) + "</td>";
  };
  if (!pair.teacher.empty()) {
    out += "<tr class=\"dim\"><th scope=\"row\">teacher " + escaped_markup(pair.teacher) + "</th>";
    const Summary none;
    const Summary& teacher = pair.teacher_summary ? *pair.teacher_summary : none;
    out += cell(top1_text(teacher.best)) + cell(top1_text(teacher.last)) + "<td>" +
           (pair.teacher_summary ? "1" : "–") + "</td><td></td><td></td><td></td>" +
           (comparable ? "<td></td><td></td>" : "") +
           cell(pair.teacher_summary ? duration(teacher.seconds) : "–") + "</tr>\n";
  }
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const ReportRow& row = pair.rows[r];
    const AgainstKd d = against_kd(pair, row);
    const std::vector<double> best = finished_values(row, &Summary::best);
    out += "<tr><th scope=\"row\">" + swatch(r) +
           escaped_markup(row.method() == "ce" ? row.label + " (alone)" : row.label) + "</th>" +
           cell(mean_text(best)) + cell(mean_text(finished_values(row, &Summary::last))) + "<td>" +
           escaped_markup(row_state(row)) + "</td>" + cell(difference_text(d.last)) + "<td>" +
           verdict_html(d.last) + "</td>" + cell(difference_text(d.best));
    if (comparable) {
      const Beside b = beside(data, pair, row);
      const bool fits = b.published && b.departs.empty();
      out += cell(fits ? fixed(b.published->top1, 2) : "") +
             cell(fits && !best.empty() ? signed_number(mean_of(best) - b.published->top1, 2) : "");
    }
    out += cell(duration(mean_seconds(row))) + "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// All pairs at a glance: best epoch, pairs downwards, methods across.
std::string overview_table(const ReportData& data) {
  std::vector<std::string> labels;
  for (const ReportPair& pair : data.pairs) {
    for (const ReportRow& row : pair.rows) {
      if (std::find(labels.begin(), labels.end(), row.label) == labels.end()) labels.push_back(row.label);
    }
  }
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"wide\"><thead><tr><th scope=\"col\">best "
      "epoch</th>"
      "<th scope=\"col\" class=\"n\">teacher</th>";
  for (const std::string& label : labels)
    out += "<th scope=\"col\" class=\"n\">" + escaped_markup(label) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const ReportPair& pair : data.pairs) {
    out += "<tr><th scope=\"row\">" + escaped_markup(pair.name) + "</th><td class=\"n dim\">" +
           (pair.teacher_summary ? top1_text(pair.teacher_summary->best) : "–") + "</td>";
    for (const std::string& label : labels) {
      const auto row = std::find_if(pair.rows.begin(), pair.rows.end(),
                                    [&](const ReportRow& one) { return one.label == label; });
      out += "<td class=\"n\">" +
             (row == pair.rows.end() ? "" : mean_text(finished_values(*row, &Summary::best))) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// Its boxes show and hide lines of the figure it stands in.
std::string legend(const ReportPair& pair) {
  std::string out = "<div class=\"legend\">";
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const std::string key = "<span class=\"key " + std::string(r >= 5 ? "dash " : "") + color_class(r) +
                            "\" aria-hidden=\"true\"></span>" + escaped_markup(pair.rows[r].label);
    out += text("<label><input type=\"checkbox\" checked value=\"row", r, "\">", key, "</label>");
  }
  return out + "</div>\n";
}

std::string curves_section(const Report& report) {
  std::string out =
      "<section id=\"curves\"><h2>Learning curves</h2><p class=\"about\">Test accuracy after each epoch: "
      "thin "
      "lines are seeds, thick ones their mean; dashed grey in the small panels is the mean of KD.</p>\n";
  for (const ReportPair& pair : report.data.pairs) {
    if (report.data.pairs.size() > 1) out += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    out += "<figure class=\"big\">" + legend(pair) + curves_figure(pair) + "</figure>\n";
    if (pair.rows.size() < 2) continue;
    const bool many = report.data.pairs.size() > 2;
    if (many) out += "<details><summary>Each method by itself</summary>";
    out += "<div class=\"panels\">\n";
    for (size_t r = 0; r < pair.rows.size(); ++r) {
      out += "<figure><figcaption><b>" + swatch(r) + escaped_markup(pair.rows[r].label) + "</b>" +
             "</figcaption>" + row_curves_figure(pair, r) + "</figure>\n";
    }
    out += many ? "</div></details>\n" : "</div>\n";
  }
  return out + "</section>\n";
}

std::string differences_section(const Report& report) {
  std::string figures;
  for (const ReportPair& pair : report.data.pairs) {
    const std::string figure = differences_figure(pair);
    if (figure.empty()) continue;
    figures +=
        "<figure class=\"medium\">" +
        (report.data.pairs.size() > 1 ? "<figcaption><b>" + escaped_markup(pair.name) + "</b></figcaption>"
                                      : "") +
        "<div class=\"legend\"><span><span class=\"key disc\" aria-hidden=\"true\"></span> last epoch</span>"
        "<span><span class=\"key ring\" aria-hidden=\"true\"></span> best test epoch</span></div>" +
        figure + "</figure>\n";
  }
  if (figures.empty()) return "";
  return "<section id=\"differences\"><h2>How far from plain KD</h2><p class=\"about\">Each seed of a method "
         "is "
         "compared with the same seed of KD: same first weights, same order of images. The bar is the 95 % "
         "interval of the mean difference; where it crosses zero, these seeds cannot tell the two "
         "apart.</p>\n" +
         figures + "</section>\n";
}

std::string published_section(const Report& report) {
  if (!report.data.is_cifar100()) return "";
  std::string rows;
  std::set<std::string> departures;
  for (const ReportPair& pair : report.data.pairs) {
    for (const ReportRow& row : pair.rows) {
      const Beside b = beside(report.data, pair, row);
      if (!b.published || b.departs.empty()) continue;
      departures.insert(b.departs);
      rows += "<tr><th scope=\"row\">" + escaped_markup(pair.name) + "</th><td>" + escaped_markup(row.label) +
              "</td><td class=\"n\">" + fixed(b.published->top1, 2) + "</td><td>" +
              text("published, ", b.published->epochs, " epochs") + "</td><td>" +
              escaped_markup(b.published->source) + "</td></tr>\n";
    }
  }
  if (rows.empty()) return "";
  std::string why;
  for (const std::string& one : departures) why += (why.empty() ? "" : "; ") + one;
  return "<section id=\"published\"><h2>Published, for orientation</h2><p class=\"about\">These runs "
         "departed from "
         "the recipe of the published numbers (here: " +
         escaped_markup(why) +
         "), so the two cannot be compared, and no difference is formed.</p>\n<div class=\"scroll\" "
         "tabindex=\"0\"><table><thead>"
         "<tr><th scope=\"col\">pair</th><th scope=\"col\">method</th><th scope=\"col\" "
         "class=\"n\">top-1</th>"
         "<th scope=\"col\">what</th><th scope=\"col\">source</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></section>\n";
}

std::string ablation_section(const Report& report) {
  std::string rows;
  for (const ReportPair& pair : report.data.pairs) {
    for (const AblationAnswer& a : ablation_answers(pair)) {
      rows +=
          "<tr><td class=\"prose\"><b>" + escaped_markup(a.question) + "</b><br>" + escaped_markup(a.answer) +
          (a.remark.empty() ? "" : "<br><span class=\"dim small\">" + escaped_markup(a.remark) + "</span>") +
          "</td><td>" + escaped_markup(a.with) + "<br><span class=\"dim\">against " +
          escaped_markup(a.without) + "</span></td><td class=\"n\">" +
          escaped_markup(difference_text(a.last)) + "</td><td class=\"n\">" +
          escaped_markup(difference_text(a.best)) + "</td><td class=\"n\">" + std::to_string(a.last.n) +
          "</td></tr>\n";
    }
  }
  if (rows.empty()) return "";
  return "<section id=\"ablation\"><h2>Which parts of PCD help?</h2><p class=\"about\">The whole method "
         "against one "
         "with a part changed, seed by seed. Answers go by the last epoch and the 95 % interval. Each "
         "question has "
         "its own interval; of twenty such answers about one is wrong by chance.</p>\n<div class=\"scroll\" "
         "tabindex=\"0\"><table class=\"wide\"><thead><tr><th scope=\"col\">question</th><th "
         "scope=\"col\">compared</th><th scope=\"col\" class=\"n\">last epoch, points</th><th scope=\"col\" "
         "class=\"n\">best epoch, points</th><th scope=\"col\" class=\"n\">seeds</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></section>\n";
}

// What the reader should know first, by the last epoch.
std::string findings(const Report& report) {
  std::string items;
  for (const ReportPair& pair : report.data.pairs) {
    for (const ReportRow& row : pair.rows) {
      const AgainstKd d = against_kd(pair, row);
      if (d.last.n == 0 || row.method() == "ce") continue;
      items += "<li>" + verdict_html(d.last) + " <b>" + escaped_markup(row.label) + "</b> " +
               (report.data.pairs.size() > 1 ? "(" + escaped_markup(pair.name) + ") " : "") +
               "against plain KD: " + escaped_markup(difference_text(d.last)) + " points at the last epoch" +
               (d.last.n > 1 ? text(", n = ", d.last.n, " seeds") : ", one seed") + "</li>\n";
    }
  }
  return items.empty() ? "" : "<ul class=\"findings\">\n" + items + "</ul>\n";
}

std::string missing_note(const Report& report) {
  std::vector<std::string> sentences = missing_sentences(report.data);
  sentences.insert(sentences.end(), report.evaluations.notes.begin(), report.evaluations.notes.end());
  if (sentences.empty()) return "";
  std::string items;
  for (const std::string& sentence : sentences) items += "<li>" + escaped_markup(sentence) + "</li>\n";
  const bool many = sentences.size() > 8;
  return "<div class=\"note\"><b>Not complete.</b> What is missing or went wrong:" +
         (many ? text("<details><summary>", sentences.size(), " entries</summary><ul>", items,
                      "</ul></details>")
               : "<ul>" + items + "</ul>") +
         "</div>\n";
}

// The page may be passed on: where data and teacher lie on this machine is nobody's business.
RunSettings without_places(RunSettings settings) {
  const size_t colon = settings.data.spec.find(':');
  if (!settings.data.spec.starts_with("synthetic") && colon != std::string::npos)
    settings.data.spec = settings.data.spec.substr(0, colon) + ":DIR";
  if (!settings.teacher.empty())
    settings.teacher = std::filesystem::path(settings.teacher).filename().string();
  settings.teacher_table.folder.clear();
  return settings;
}

std::string settings_section(const Report& report) {
  std::string out =
      "<section id=\"how\"><h2>How it was done</h2><p class=\"about\">Best is the best <em>test</em> epoch, "
      "as "
      "papers print it, unless images were held out: it is chosen with the images it is measured on, and so "
      "a "
      "little too high. Last is not chosen. The deviation is the sample's (n − 1). Intervals are Student's t "
      "of "
      "the paired differences at 95 %; one seed has none.</p>\n";
  for (const ReportPair& pair : report.data.pairs) {
    for (const ReportRow& row : pair.rows) {
      if (!row.settings) continue;
      out += "<details><summary>Settings of " + escaped_markup(pair.name + ", " + row.label) +
             "</summary><pre>" +
             [&] {  // line ends stay
               std::string lines;
               const std::string toml = settings_toml(without_places(*row.settings));
               for (size_t from = 0; from < toml.size();) {
                 const size_t end = std::min(toml.find('\n', from), toml.size());
                 lines += escaped_markup(toml.substr(from, end - from)) + "\n";
                 from = end + 1;
               }
               return lines;
             }() +
             "</pre></details>\n";
    }
  }
  return out + "</section>\n";
}

std::string subtitle(const ReportData& data) {
  std::set<int> epochs;
  std::set<uint64_t> seeds;
  size_t runs = 0, finished = 0;
  for (const ReportPair& pair : data.pairs) {
    for (const ReportRow& row : pair.rows) {
      if (row.settings) epochs.insert(row.settings->epochs);
      for (const ReportRun& run : row.runs) {
        seeds.insert(run.seed);
        ++runs;
        finished += run.finished();
      }
    }
  }
  const std::string name = data.is_cifar100()    ? "CIFAR-100"
                           : data.is_synthetic() ? "Images drawn by the program"
                                                 : data.data.substr(0, data.data.find(':'));
  std::string line = name;
  if (!epochs.empty()) {
    line += text(", ", *epochs.begin());
    if (epochs.size() > 1) line += text(" to ", *epochs.rbegin());
    line += *epochs.rbegin() == 1 ? " epoch" : " epochs";
  }
  line += text(", ", seeds.size(), seeds.size() == 1 ? " seed" : " seeds", ", ", finished, " of ", runs,
               " runs finished.");
  if (seeds.size() == 1) line += " One seed says little about small differences.";
  return line;
}

}  // namespace

std::string verdict_html(const PairedDifference& d) {
  const std::string words = verdict_text(d);
  if (words.empty()) return "";
  const Verdict verdict = verdict_of(d);
  const char* kind = verdict == Verdict::better ? "better" : verdict == Verdict::worse ? "worse" : "unsure";
  return text("<span class=\"verdict ", kind, "\">", words, "</span>");
}

std::string report_html(const Report& report) {
  const ReportData& data = report.data;
  std::string body =
      findings(report) + missing_note(report) +
      "<p class=\"about small\" id=\"units\">Top-1 on the test images in percent, mean ± "
      "standard deviation over the "
      "seeds. Differences are paired by seed; in brackets the 95 % t-interval. Each interval stands "
      "for itself: of twenty, about one misses by chance.</p>\n";
  if (data.pairs.size() > 1) body += overview_table(data);
  for (const ReportPair& pair : data.pairs) {
    if (data.pairs.size() > 1) body += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    body += results_table(data, pair);
  }
  body = "<section id=\"results\"><h2>Results</h2>\n" + body + "</section>\n";
  const std::pair<std::string, std::string> parts[] = {{"differences", differences_section(report)},
                                                       {"ablation", ablation_section(report)},
                                                       {"curves", curves_section(report)},
                                                       {"classes", classes_section(report)},
                                                       {"pcd", pcd_section(report)},
                                                       {"published", published_section(report)},
                                                       {"how", settings_section(report)}};
  const char* names[] = {"Against KD",  "Parts of PCD", "Curves", "Classes",
                         "PCD at work", "Published",    "Method"};
  std::string navigation = "<a href=\"#results\">Results</a>";
  for (size_t i = 0; i < std::size(parts); ++i) {
    if (parts[i].second.empty()) continue;
    body += parts[i].second;
    navigation += text("<a href=\"#", parts[i].first, "\">", names[i], "</a>");
  }
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
         "content=\"width=device-width, initial-scale=1\">\n<title>" +
         escaped_markup(data.title) + "</title>\n<style>\n" + embedded_style_css +
         "</style>\n</head>\n<body>\n<header>\n<p class=\"kind\">Distillation study</p>\n<h1>" +
         escaped_markup(data.title) + "</h1>\n<p class=\"lead\">" + escaped_markup(subtitle(data)) +
         "</p>\n<nav aria-label=\"Sections\">" + navigation + "</nav>\n</header>\n<main>\n" + body +
         "</main>\n<footer>Made by retort " RETORT_VERSION
         " from the files of the runs. The same numbers are in report.md, report.csv and report.json beside "
         "this page.</footer>\n<script>\n" +
         embedded_script_js + "</script>\n</body>\n</html>\n";
}

}  // namespace retort
