// The page's sections that come from checkpoints: classes, and PCD at work.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "distill/report/figures.h"
#include "distill/report/page.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string class_name(const Report& report, size_t pair, size_t label) {
  const std::vector<std::string>& names = report.evaluations.pairs[pair].class_names;
  return label < names.size() ? names[label] : std::to_string(label);
}

std::string correlation_text(const RankCorrelation& c) {
  if (std::isnan(c.rho)) return "–";
  return signed_number(c.rho, 2) + " (" + signed_number(c.low, 2) + " to " + signed_number(c.high, 2) + ")";
}

std::string class_table(const Report& report, const std::vector<ClassFinding>& findings) {
  const ClassFinding& first = findings.front();
  const ResultPair& pair = report.data.pairs[first.pair];
  std::string out =
      "<details><summary>All classes as a table</summary><div class=\"scroll\" "
      "tabindex=\"0\"><table><thead><tr>"
      "<th scope=\"col\">class</th><th scope=\"col\" class=\"n\">teacher's confidence, %</th>";
  for (const ClassFinding& finding : findings)
    out += "<th scope=\"col\" class=\"n\">" + escaped_markup(pair.rows[finding.row].label) + "</th>";
  out += "</tr></thead><tbody>\n";
  std::vector<size_t> order(first.confidence.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return first.confidence[a] < first.confidence[b]; });
  for (const size_t c : order) {
    out += "<tr><th scope=\"row\">" + escaped_markup(class_name(report, findings.front().pair, c)) +
           "</th><td class=\"n\">" + fixed(100 * first.confidence[c], 1) + "</td>";
    for (const ClassFinding& finding : findings)
      out += "<td class=\"n\">" + signed_number(finding.gains[c], 1) + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody></table></div></details>\n";
}

// One pair's findings: what they say, and the figures of PCD's rows.
std::string pair_classes(const Report& report, const std::vector<ClassFinding>& findings) {
  const ResultPair& pair = report.data.pairs[findings.front().pair];
  std::string table =
      "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">method</th><th scope=\"col\" "
      "class=\"n\">rank "
      "correlation</th><th scope=\"col\" class=\"n\">least sure third</th><th scope=\"col\" "
      "class=\"n\">surest "
      "third</th><th scope=\"col\">what it says</th></tr></thead><tbody>\n";
  std::string figures;
  size_t shown = 0;
  for (const ClassFinding& f : findings) {
    const std::string& label = pair.rows[f.row].label;
    table += "<tr><th scope=\"row\">" + escaped_markup(label) + "</th><td class=\"n\">" +
             correlation_text(f.correlation) + "</td><td class=\"n\">" + signed_number(f.low_third, 2) +
             "</td><td class=\"n\">" + signed_number(f.high_third, 2) + "</td><td class=\"prose\">" +
             escaped_markup(
                 correlation_verdict(f.correlation, label, pair.rows[f.row].values(&Summary::last).size())) +
             "</td></tr>\n";
    const bool of_pcd = pair.rows[f.row].method.starts_with("pcd");
    if (!of_pcd || shown >= 4) continue;
    ++shown;
    std::vector<ClassPoint> points;
    for (size_t c = 0; c < f.gains.size(); ++c)
      points.push_back({class_name(report, findings.front().pair, c), f.confidence[c], f.gains[c]});
    figures +=
        "<figure><figcaption><b>" + escaped_markup(label) + "</b>, n = " + std::to_string(f.correlation.n) +
        " classes</figcaption>" +
        class_gain_figure(label + ": gain over KD by the teacher's confidence", color_class(f.row), points) +
        "</figure>\n";
  }
  return table + "</tbody></table></div>\n<div class=\"panels\">" + figures + "</div>\n" +
         class_table(report, findings);
}

std::string group_table(const PcdSteps& steps, const Report& report, size_t pair) {
  std::string out =
      "<details><summary>All groups as a table</summary><div class=\"scroll\" "
      "tabindex=\"0\"><table><thead><tr><th scope=\"col\" "
      "class=\"n\">stage</th><th scope=\"col\" class=\"n\">group</th><th scope=\"col\" "
      "class=\"n\">classes</th><th "
      "scope=\"col\">begins with</th><th scope=\"col\" class=\"n\">λ</th><th scope=\"col\" "
      "class=\"n\">KL</th><th "
      "scope=\"col\" class=\"n\">share of the loss</th></tr></thead><tbody>\n";
  for (size_t k = 0; k < steps.stages.size(); ++k) {
    for (size_t g = 0; g < steps.stages[k].size(); ++g) {
      const PcdGroup& group = steps.stages[k][g];
      out += text("<tr><td class=\"n\">", k + 1, "</td><td class=\"n\">", g + 1, "</td><td class=\"n\">",
                  group.count, "</td><td>",
                  escaped_markup(class_name(report, pair, size_t(steps.order[size_t(group.first)]))),
                  "</td><td class=\"n\">", significant(group.lambda, 3), "</td><td class=\"n\">",
                  significant(group.kl, 3), "</td><td class=\"n\">",
                  fixed(steps.loss > 0 ? 100 * group.loss / steps.loss : 0, 1), " %</td></tr>\n");
    }
  }
  return out + "</tbody></table></div></details>\n";
}

size_t likeliest_class(const std::vector<double>& logits) {
  return size_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

std::vector<ClassFinding> class_findings(const Report& report) {
  std::vector<ClassFinding> findings;
  for (size_t p = 0; p < report.evaluations.pairs.size(); ++p) {
    const std::vector<double>& confidence = report.evaluations.pairs[p].confidence;
    for (size_t r = 0; r < report.data.pairs[p].rows.size() && !confidence.empty(); ++r) {
      if (!report.data.pairs[p].rows[r].reads_teacher()) continue;
      const std::vector<double> gains = class_gains(report, p, r);
      if (gains.size() != confidence.size()) continue;
      ClassFinding f{.pair = p, .row = r, .gains = gains, .confidence = confidence, .correlation = {}};
      f.correlation = rank_correlation(confidence, gains);
      std::vector<size_t> order(gains.size());
      std::iota(order.begin(), order.end(), size_t(0));
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return confidence[a] < confidence[b]; });
      const size_t third = std::max<size_t>(1, order.size() / 3);
      for (size_t i = 0; i < third; ++i) {
        f.low_third += gains[order[i]] / double(third);
        f.high_third += gains[order[order.size() - 1 - i]] / double(third);
      }
      findings.push_back(std::move(f));
    }
  }
  return findings;
}

std::string classes_section(const Report& report) {
  std::string content;
  const std::vector<ClassFinding> all = class_findings(report);
  for (size_t p = 0; p < report.data.pairs.size(); ++p) {
    std::vector<ClassFinding> own;
    std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const auto& f) { return f.pair == p; });
    if (own.empty()) continue;
    if (report.data.pairs.size() > 1)
      content += "<h3>" + escaped_markup(report.data.pairs[p].name) + "</h3>\n";
    content += pair_classes(report, own);
  }
  if (content.empty()) {
    content = report.evaluated
                  ? "<p>There is no finished run of KD and another method with its teacher's weights yet.</p>"
                  : "<p>Left out: no checkpoint was evaluated (--no-eval).</p>";
  }
  return "<section id=\"classes\"><h2>Does it help where the teacher is unsure?</h2><p class=\"about\">The "
         "paper "
         "says that plain KD neglects classes to which the teacher gives little probability. For each class: "
         "the gain "
         "in accuracy over KD in percentage points, mean over the seeds, last weights, against the teacher's "
         "mean "
         "probability of that class on its test images. A negative rank correlation supports the claim. "
         "Short "
         "lines are means over thirds of the classes. Classes of low confidence also have more room to gain, "
         "and "
         "this view cannot tell the two apart.</p>\n" +
         content + "</section>\n";
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
    for (const ChosenImage& image : evaluation.chosen) {
      const PcdSteps steps = pcd_steps(row.settings->method, image.teacher, image.student);
      const std::string label = class_name(report, p, size_t(image.label));
      content += "<div class=\"sample\">" +
                 picture(image, "Test image " + std::to_string(image.index) + ", " + label) +
                 "<p><b>Test image " + std::to_string(image.index) + "</b>, chosen because " +
                 escaped_markup(image.reason) + ".<br>It is <b>" + escaped_markup(label) +
                 "</b>; the teacher says " +
                 escaped_markup(class_name(report, p, likeliest_class(image.teacher))) + ", the student " +
                 escaped_markup(class_name(report, p, likeliest_class(image.student))) + ". Its loss is " +
                 significant(steps.loss, 3) +
                 ".</p></div>\n<figure class=\"big\"><div class=\"legend\"><span><span class=\"key disc c1\" "
                 "aria-hidden=\"true\"></span> teacher</span><span><span class=\"key ring c2\" "
                 "aria-hidden=\"true\"></span> "
                 "student</span></div><div class=\"scroll\" tabindex=\"0\">" +
                 pcd_figure(steps, image, evaluation.class_names) + "</div></figure>\n" +
                 group_table(steps, report, p);
    }
  }
  if (content.empty()) return "";
  return "<section id=\"pcd\"><h2>PCD at work</h2><p class=\"about\">Classes are ranked by how far the "
         "logits of "
         "teacher and student are apart, then cut into k groups at stage k, and each group is distilled on "
         "its own, "
         "with the weight λ = 1 − cos of the two distributions in it.</p>\n" +
         content + "</section>\n";
}

}  // namespace retort
