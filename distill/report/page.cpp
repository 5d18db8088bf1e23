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

std::string top1_text(const std::optional<EpochResult>& result) {
  return result ? fixed(result->top1, 2) : "–";
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

bool any_comparable(const ResultPair& pair) {
  return std::any_of(pair.rows.begin(), pair.rows.end(), [&](const ResultRow& row) {
    const PublishedBeside b = published_beside(pair, row);
    return b.published && b.departs.empty();
  });
}

std::string swatch(size_t row) {
  return "<span class=\"swatch " + color_class(row) + "\" aria-hidden=\"true\"></span>";
}

// A head that sorts the table by its column, where the page's script runs.
std::string sort_head(const std::string& name, bool numeric = true) {
  return text("<th scope=\"col\"", numeric ? " class=\"n\"" : "", "><button type=\"button\" class=\"sort\">",
              escaped_markup(name), "</button></th>");
}

std::string results_table(const ResultPair& pair) {
  const bool comparable = any_comparable(pair);
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"wide sortable\" "
      "aria-describedby=\"units\">\n<thead><tr>" +
      sort_head(pair.student, false) + sort_head("best epoch") + sort_head("last epoch") +
      sort_head("seeds", false) + sort_head("last, to KD") + sort_head("verdict", false) +
      sort_head("best, to KD");
  if (comparable) out += sort_head("published") + sort_head("best − published");
  out += "</tr></thead>\n<tbody>\n";
  const auto cell = [](const std::string& content) {
    return "<td class=\"n\">" + escaped_markup(content) + "</td>";
  };
  if (!pair.teacher.empty()) {
    out += "<tr class=\"dim\"><th scope=\"row\">teacher " + escaped_markup(pair.teacher) + "</th>";
    const Summary none;
    const Summary& teacher = pair.teacher_summary ? *pair.teacher_summary : none;
    out += cell(top1_text(teacher.best)) + cell(top1_text(teacher.last)) + "<td>" +
           (pair.teacher_summary ? "1" : "–") + "</td><td></td><td></td><td></td>" +
           (comparable ? "<td></td><td></td>" : "") + "</tr>\n";
  }
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const ResultRow& row = pair.rows[r];
    const Comparison d = against_kd(pair, row);
    const std::vector<double> best = row.values(&Summary::best);
    out += "<tr><th scope=\"row\">" + swatch(r) +
           escaped_markup(row.method == "ce" ? row.label + " (alone)" : row.label) + "</th>" +
           cell(mean_cell(row, &Summary::best, "–")) + cell(mean_cell(row, &Summary::last, "–")) + "<td>" +
           escaped_markup(row_state(row)) + "</td>" + cell(difference_text(d.last)) + "<td>" +
           verdict_html(d) + "</td>" + cell(difference_text(d.best));
    if (comparable) {
      const PublishedBeside b = published_beside(pair, row);
      const bool fits = b.published && b.departs.empty();
      out += cell(fits ? fixed(b.published->top1, 2) : "") +
             cell(fits && !best.empty() ? signed_number(mean_of(best) - b.published->top1, 2) : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// All pairs at a glance: best epoch, pairs downwards, methods across.
std::string overview_table(const Results& data) {
  std::vector<std::string> labels;
  for (const ResultPair& pair : data.pairs) {
    for (const ResultRow& row : pair.rows) {
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
  for (const ResultPair& pair : data.pairs) {
    out += "<tr><th scope=\"row\">" + escaped_markup(pair.name) + "</th><td class=\"n dim\">" +
           (pair.teacher_summary ? top1_text(pair.teacher_summary->best) : "–") + "</td>";
    for (const std::string& label : labels) {
      const auto row = std::find_if(pair.rows.begin(), pair.rows.end(),
                                    [&](const ResultRow& one) { return one.label == label; });
      out +=
          "<td class=\"n\">" + (row == pair.rows.end() ? "" : mean_cell(*row, &Summary::best, "–")) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

// Its boxes show and hide lines of the figure it stands in.
std::string legend(const ResultPair& pair) {
  std::string out = "<div class=\"legend\">";
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const std::string key = "<span class=\"key " + std::string(r >= 5 ? "dash " : "") + color_class(r) +
                            "\" aria-hidden=\"true\"></span>" + escaped_markup(pair.rows[r].label);
    out += text("<label><input type=\"checkbox\" checked value=\"row", r, "\">", key, "</label>");
  }
  return out + "</div>\n";
}

bool has_curve(const ResultRow& row) {
  return std::any_of(row.runs.begin(), row.runs.end(),
                     [](const ResultRun& run) { return !run.metrics.rows.empty(); });
}

bool has_curves(const ResultPair& pair) {
  return std::any_of(pair.rows.begin(), pair.rows.end(), has_curve);
}

std::string curves_section(const Report& report) {
  std::string out =
      "<section id=\"curves\"><h2>Learning curves</h2><p class=\"about\">Test accuracy after each epoch: "
      "thin "
      "lines are seeds, thick ones their mean; dashed grey in the small panels is the mean of KD.</p>\n";
  bool any = false;
  for (const ResultPair& pair : report.data.pairs) {
    if (!has_curves(pair)) continue;
    any = true;
    if (report.data.pairs.size() > 1) out += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    out += "<figure class=\"big\">" + legend(pair) + curves_figure(pair) + "</figure>\n";
    if (pair.rows.size() < 2) continue;
    const bool many = report.data.pairs.size() > 2;
    if (many) out += "<details><summary>Each method by itself</summary>";
    out += "<div class=\"panels\">\n";
    for (size_t r = 0; r < pair.rows.size(); ++r) {
      if (!has_curve(pair.rows[r])) continue;
      out += "<figure><figcaption><b>" + swatch(r) + escaped_markup(pair.rows[r].label) + "</b>" +
             "</figcaption>" + row_curves_figure(pair, r) + "</figure>\n";
    }
    out += many ? "</div></details>\n" : "</div>\n";
  }
  return any ? out + "</section>\n" : "";
}

std::string differences_section(const Report& report) {
  std::string figures;
  for (const ResultPair& pair : report.data.pairs) {
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
  std::string rows;
  std::set<std::string> departures;
  for (const ResultPair& pair : report.data.pairs) {
    for (const ResultRow& row : pair.rows) {
      const PublishedBeside b = published_beside(pair, row);
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
  for (const ResultPair& pair : report.data.pairs) {
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

std::string listed(const std::vector<std::string>& parts) {
  std::string all;
  for (size_t i = 0; i < parts.size(); ++i)
    all += (i == 0 ? "" : i + 1 < parts.size() ? ", " : " and ") + parts[i];
  return all;
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
    items +=
        "<p class=\"finding\">" +
        (report.data.pairs.size() > 1 ? escaped_markup(pair.name) + ": " : std::string()) +
        text("Against plain KD, points at the last epoch, ", seeds, seeds == 1 ? " seed: " : " seeds: ") +
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

std::string settings_section(const Report& report) {
  std::string out =
      "<section id=\"how\"><h2>How it was done</h2><p class=\"about\">Best is the best <em>test</em> epoch, "
      "as "
      "papers print it, unless images were held out: it is chosen with the images it is measured on, and so "
      "a "
      "little too high. Last is not chosen. The deviation is the sample's (n − 1). Intervals are Student's t "
      "of "
      "the paired differences at 95 %; one seed has none.</p>\n";
  for (const ResultPair& pair : report.data.pairs) {
    for (const ResultRow& row : pair.rows) {
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

std::string subtitle(const Results& data) {
  std::set<int> epochs;
  std::set<uint64_t> seeds;
  std::vector<std::string> names;
  std::set<std::filesystem::path> places;
  size_t runs = 0, finished = 0, copies = 0;
  for (const ResultPair& pair : data.pairs) {
    const std::string name = pair.data_name();
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    for (const ResultRow& row : pair.rows) {
      if (row.settings) epochs.insert(row.settings->epochs);
      for (const std::vector<ResultRun>* list : {&row.runs, &row.extra}) {
        for (const ResultRun& run : *list) {
          // A student without a teacher stands in several tables.
          if (!run.folder.empty() && !places.insert(run.folder).second) continue;
          seeds.insert(run.seed);
          ++runs;
          finished += run.finished();
          copies += run.left_out.starts_with("the weights");
        }
      }
    }
  }
  std::string line = listed(names);
  if (!line.empty() && line[0] == 'i') line[0] = 'I';
  if (!epochs.empty()) {
    line += text(", ", *epochs.begin());
    if (epochs.size() > 1) line += text(" to ", *epochs.rbegin());
    line += *epochs.rbegin() == 1 ? " epoch" : " epochs";
  }
  line += text(line.empty() ? "" : ", ", seeds.size(), seeds.size() == 1 ? " seed" : " seeds", ", ", finished,
               " of ", runs, " runs finished");
  if (copies > 0) line += text(", ", copies, copies == 1 ? " a copy of another" : " copies of others");
  line += ".";
  if (seeds.size() == 1) line += " One seed says little about small differences.";
  return line;
}

}  // namespace

RunSettings without_places(RunSettings settings) {
  const auto name_of = [](const std::string& place) {
    return std::filesystem::path(place).filename().string();
  };
  const size_t colon = settings.data.spec.find(':');
  if (!settings.data.spec.starts_with("synthetic") && colon != std::string::npos)
    settings.data.spec = settings.data.spec.substr(0, colon) + ":DIR";
  settings.teacher = name_of(settings.teacher);
  settings.init = name_of(settings.init);
  settings.teacher_table.folder.clear();
  return settings;
}

std::string shown_spec(const std::string& data) {
  return data.starts_with("synthetic") ? data : data.substr(0, data.find(':'));
}

std::vector<std::string> data_kinds(const Results& results) {
  std::vector<std::string> kinds;
  for (const ResultPair& pair : results.pairs) {
    const std::string kind = pair.data.substr(0, pair.data.find(':'));
    if (!kind.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  return kinds;
}

std::string verdict_html(const Comparison& comparison) {
  const std::string words = verdict_text(comparison);
  if (words.empty()) return "";
  if (!comparison.apart.empty()) return "<span class=\"apart\">" + escaped_markup(words) + "</span>";
  const Verdict verdict = verdict_of(comparison.last);
  const char* kind = verdict == Verdict::better ? "better" : verdict == Verdict::worse ? "worse" : "unsure";
  return text("<span class=\"verdict ", kind, "\">", words, "</span>");
}

std::string report_html(const Report& report) {
  const Results& data = report.data;
  std::string body =
      findings(report) + missing_note(report) +
      "<p class=\"about small\" id=\"units\">Top-1 on the test images in percent, mean ± "
      "standard deviation over the "
      "seeds. Differences are paired by seed; in brackets the 95 % t-interval. Each interval stands "
      "for itself: of twenty, about one misses by chance.</p>\n";
  if (data.pairs.size() > 1) body += overview_table(data);
  for (const ResultPair& pair : data.pairs) {
    if (data.pairs.size() > 1) body += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    body += results_table(pair);
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
