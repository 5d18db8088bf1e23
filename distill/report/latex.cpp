#include "distill/report/latex.h"

#include <cmath>

#include "distill/report/analysis.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

// "70.66 \pm 0.24", without a deviation for one value; not for none.
std::string mean_math(const std::vector<double>& values, const Metric& metric) {
  const std::string deviation = values.size() > 1 ? " \\pm " + metric.number(deviation_of(values)) : "";
  return metric.number(mean_of(values)) + deviation;
}

// With a hyphen for a minus, which math mode makes a minus of.
std::string signed_math(double value, int digits) {
  return (value > 0 ? "+" : "") + fixed(value, digits);
}

std::string difference_math(const PairedDifference& d) {
  if (d.n == 0) return "";
  const std::string mean = "$" + signed_math(d.mean, d.digits) + "$";
  if (!std::isfinite(d.low)) return mean;
  return mean + " ($" + signed_math(d.low, d.digits) + "$ to $" + signed_math(d.high, d.digits) + "$)";
}

// Of the rows that are better than KD for sure, the one of the best mean; -1: there is none.
int best_row(const ResultPair& pair) {
  int best = -1;
  double most = 0;
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const Comparison comparison = against_kd(pair, pair.rows[r]);
    if (!comparison.apart.empty() || verdict_of(comparison.last) != Verdict::better) continue;
    const double mean = mean_of(pair.rows[r].values(&Summary::last));
    if (best < 0 || pair.metric().better(mean, most)) best = int(r), most = mean;
  }
  return best;
}

std::string pair_lines(const ResultPair& pair) {
  std::string title = pair.student;
  if (!pair.teacher.empty()) title = pair.teacher + " teaches " + pair.student;
  std::string all =
      "    \\multicolumn{4}{l}{\\emph{" + escaped_latex(title + ", " + pair.data_name()) + "}} \\\\\n";
  if (pair.teacher_summary && pair.teacher_summary->last) {
    const EpochResult& last = *pair.teacher_summary->last;
    const std::string value = last.measured() ? "$" + pair.metric().number(last.first()) + "$" : "--";
    all += "    teacher & " + value + " & & \\\\\n";
  }
  const int best = best_row(pair);
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const ResultRow& row = pair.rows[r];
    const std::vector<double> values = row.values(&Summary::last);
    const Comparison comparison = against_kd(pair, row);
    std::string label = escaped_latex(row.label),
                value = values.empty() ? "--" : "$" + mean_math(values, pair.metric()) + "$";
    if (values.empty() && row.all_diverged()) value = "diverged";
    if (int(r) == best) {
      label = "\\textbf{" + label + "}";
      value = "$\\mathbf{" + mean_math(values, pair.metric()) + "}$";
    }
    if (!comparison.apart.empty())
      all += "    % not comparable with kd: " + one_line(comparison.apart) + "\n";
    all += "    " + label + " & " + value + " & " +
           (comparison.apart.empty() ? difference_math(comparison.last) : "") + " & " +
           std::to_string(values.size()) + " \\\\\n";
  }
  return all;
}

}  // namespace

std::string escaped_latex(const std::string& raw) {
  std::string all;
  for (const char c : one_line(raw)) {
    switch (c) {
      case '\\':
        all += "\\textbackslash{}";
        break;
      case '~':
        all += "\\textasciitilde{}";
        break;
      case '^':
        all += "\\textasciicircum{}";
        break;
      case '[':  // after \\ these two would be its argument and its star
      case '*':
        all += std::string("{") + c + "}";
        break;
      case '<':
      case '>':
      case '|':
        all += std::string("$") + (c == '|' ? "\\mid" : std::string(1, c)) + "$";
        break;
      case '{':
      case '}':
      case '$':
      case '&':
      case '#':
      case '_':
      case '%':
        all += '\\';
        [[fallthrough]];
      default:
        all += c;
    }
  }
  return all;
}

std::string report_latex(const Report& report) {
  std::string all =
      "% \\usepackage{booktabs}\n"
      "\\begin{table}\n"
      "  \\centering\n"
      "  \\caption{" +
      escaped_latex(report.data.title) + ". " + escaped_latex(score_words(report.data)) +
      unit_words(report.data) +
      " after the last epoch, mean $\\pm$ standard deviation over $n$ seeds; "
      "difference to KD, "
      "paired by seed, with its 95\\,\\% interval. Bold: the best of those that are better than KD for "
      "sure.}\n"
      "  \\begin{tabular}{lrrr}\n"
      "    \\toprule\n"
      "    Method & " +
      escaped_latex(report.data.pairs.empty() ? "" : report.data.pairs[0].metric().word) +
      " & To KD & $n$ \\\\\n";
  for (const ResultPair& pair : report.data.pairs) all += "    \\midrule\n" + pair_lines(pair);
  all +=
      "    \\bottomrule\n"
      "  \\end{tabular}\n"
      "\\end{table}\n";
  for (const std::string& sentence : missing_sentences(report)) all += "% " + one_line(sentence) + "\n";
  return all;
}

}  // namespace retort
