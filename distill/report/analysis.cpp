#include "distill/report/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

PairedDifference difference(const ReportRow& a, const ReportRow& b,
                            std::optional<EpochResult> Summary::*which) {
  const PairedValues values = paired_values(a, b, which);
  return paired_difference(values.a, values.b);
}

// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (size_t i = first; i < end; ++i) ranks[order[i]] = 0.5 * double(first + 1 + end);
    first = end;
  }
  return ranks;
}

// The keys of the method that two rows set differently; "" for one whose value does not matter.
std::vector<std::string> differing_keys(const ReportRow& a, const ReportRow& b) {
  std::vector<std::string> keys;
  const auto list_a = a.settings->method.list(), list_b = b.settings->method.list();
  for (size_t i = 0; i < list_a.size() && i < list_b.size(); ++i) {
    if (list_a[i].text != list_b[i].text) keys.push_back(list_a[i].key.name);
  }
  return keys;
}

std::string value_of(const ReportRow& row, const std::string& key) {
  for (const auto& value : row.settings->method.list()) {
    if (value.key.name == key) return value.text;
  }
  return "";
}

std::string answer_text(const PairedDifference& d, const std::string& yes, const std::string& no) {
  switch (verdict_of(d)) {
    case Verdict::better:
      return yes;
    case Verdict::worse:
      return no;
    case Verdict::cannot_tell:
      return "Cannot tell: the interval contains zero.";
    case Verdict::unknown:
      break;
  }
  return d.n == 0 ? "No seed of both is finished yet." : "Cannot tell: one seed has no interval.";
}

struct Part {
  std::string question, yes, no, remark;
};

Part part_of(const std::string& key, const ReportRow& with, const ReportRow& without) {
  const std::string a = value_of(with, key), b = value_of(without, key);
  if (key == "ranking" && b == "none")
    return {"Does ranking the classes help?", "Yes, ranking helps.", "No, without ranking it is better.", ""};
  if (key == "weight" && b == "none")
    return {"Does the cosine weight help?", "Yes, the weight helps.", "No, without the weight it is better.",
            "Without it the terms are larger by about 1/λ, so this turns off the weight and turns up the "
            "loss."};
  if (key == "direction" && a == "both")
    return {"Do both directions help?", "Yes, both are better than one.", "No, one is better than both.",
            "Both directions visit the same partitions: one of them alone is the same loss at half its "
            "weight."};
  return {text("Is ", key, " = ", a, " better than ", b, "?"), text("Yes, ", a, " is better."),
          text("No, ", b, " is better."), ""};
}

}  // namespace

Verdict verdict_of(const PairedDifference& d) {
  if (d.n < 2 || std::isnan(d.low)) return Verdict::unknown;
  if (d.low > 0) return Verdict::better;
  if (d.high < 0) return Verdict::worse;
  return Verdict::cannot_tell;
}

std::string verdict_text(const PairedDifference& d) {
  switch (verdict_of(d)) {
    case Verdict::better:
      return "better";
    case Verdict::worse:
      return "worse";
    case Verdict::cannot_tell:
      return "cannot tell";
    case Verdict::unknown:
      break;
  }
  return d.n == 1 ? "one seed: no interval" : "";
}

std::string difference_text(const PairedDifference& d) {
  if (d.n == 0) return "";
  if (std::isnan(d.low)) return signed_number(d.mean, 2);
  return signed_number(d.mean, 2) + " (" + signed_number(d.low, 2) + " to " + signed_number(d.high, 2) + ")";
}

AgainstKd against_kd(const ReportPair& pair, const ReportRow& row) {
  const ReportRow* kd = pair.plain_kd();
  if (!kd || kd == &row) return {};
  return {difference(row, *kd, &Summary::best), difference(row, *kd, &Summary::last)};
}

std::vector<AblationAnswer> ablation_answers(const ReportPair& pair) {
  std::vector<AblationAnswer> answers;
  // The whole: the pcd row with most of its keys at their defaults, the first of them.
  const ReportRow* whole = nullptr;
  for (const ReportRow& row : pair.rows) {
    if (row.method() == "pcd" && (!whole || row.label == "pcd")) whole = &row;
  }
  if (!whole) return answers;
  const auto add = [&](const Part& part, const ReportRow& without) {
    AblationAnswer answer{.question = part.question,
                          .with = whole->label,
                          .without = without.label,
                          .best = difference(*whole, without, &Summary::best),
                          .last = difference(*whole, without, &Summary::last),
                          .answer = {},
                          .remark = part.remark};
    answer.answer = answer_text(answer.last, part.yes, part.no);
    answers.push_back(std::move(answer));
  };
  for (const ReportRow& row : pair.rows) {
    if (&row == whole || !row.settings) continue;
    if (row.method() == "pcd-released") {
      add({"Is the paper's form better than the released code's?", "Yes, the paper's form is better.",
           "No, the released code's form is better.",
           "The released code computes another loss: no ranking, no groups, and a much larger weight."},
          row);
    } else if (row.method() == "pcd") {
      const std::vector<std::string> keys = differing_keys(*whole, row);
      if (keys.size() == 1) add(part_of(keys[0], *whole, row), row);
    }
  }
  return answers;
}

RankCorrelation rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  check(a.size() == b.size(), "rank_correlation: ", a.size(), " and ", b.size(), " values, expected pairs");
  RankCorrelation result{.n = a.size(), .rho = nan, .low = nan, .high = nan};
  if (result.n < 4) return result;
  const std::vector<double> x = ranks_of(a), y = ranks_of(b);
  const double middle = 0.5 * double(result.n + 1);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < result.n; ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  if (xx == 0 || yy == 0) return result;
  result.rho = xy / std::sqrt(xx * yy);
  const double z = std::atanh(std::clamp(result.rho, -1 + 1e-12, 1 - 1e-12));
  const double half = 1.959963984540054 * std::sqrt(1.06 / double(result.n - 3));
  result.low = std::tanh(z - half);
  result.high = std::tanh(z + half);
  return result;
}

std::string correlation_verdict(const RankCorrelation& c, const std::string& method) {
  if (std::isnan(c.rho)) return "Cannot tell: too few classes, or all the same.";
  if (c.high < 0) return method + " gains more on classes that the teacher is less sure of.";
  if (c.low > 0) return method + " gains more on classes that the teacher is sure of.";
  return "Cannot tell: the interval contains zero.";
}

std::vector<std::string> missing_sentences(const ReportData& data) {
  std::vector<std::string> sentences;
  for (const ReportPair& pair : data.pairs) {
    for (const ReportRow& row : pair.rows) {
      for (const ReportRun& run : row.runs) {
        if (run.finished()) continue;
        std::string line = text(pair.name, ", ", row.label, ", seed ", run.seed, ": ");
        if (!run.problem.empty())
          line += (run.status == "missing" ? "" : run.status + ": ") + run.problem;
        else if (run.status == "missing")
          line += "not run yet";
        else
          line += text(run.status == "running" ? "not finished" : run.status, ", ", run.summary.epochs_done,
                       run.summary.epochs_done == 1 ? " epoch" : " epochs", " so far");
        sentences.push_back(line);
      }
    }
    if (!pair.plain_kd())
      sentences.push_back(pair.name + ": there is no run of kd, so nothing is compared with it");
  }
  for (const std::string& note : data.notes) sentences.push_back(note);
  return sentences;
}

}  // namespace retort
