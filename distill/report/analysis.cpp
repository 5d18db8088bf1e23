#include "distill/report/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
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
std::vector<std::string> differing_keys(const ResultRow& a, const ResultRow& b) {
  std::vector<std::string> keys;
  const KeysAndTexts list_a = method_keys(*a.settings), list_b = method_keys(*b.settings);
  for (size_t i = 0; i < list_a.size() && i < list_b.size(); ++i) {
    if (list_a[i].second != list_b[i].second) keys.push_back(list_a[i].first);
  }
  return keys;
}

std::string value_of(const ResultRow& row, const std::string& key) {
  for (const auto& [name, value] : method_keys(*row.settings)) {
    if (name == key) return value;
  }
  return "";
}

std::string answer_text(const Comparison& comparison, const ResultRow& with, const ResultRow& without,
                        const std::string& yes, const std::string& no) {
  const PairedDifference& d = comparison.last;
  if (!comparison.apart.empty()) return "Not comparable: " + comparison.apart + ".";
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
  if (d.n == 0 && comparison.same_weights > 0) return "No difference: the weights are the same.";
  if (d.n == 0 && with.finished() > 0 && with.values(&Summary::last).empty())
    return with.metric().not_measured();
  for (const ResultRow* row : {&with, &without})
    if (row->all_diverged()) return "No answer: every run of " + row->label + " diverged.";
  if (d.n == 0) return "No seed of both is finished yet.";
  return d.n == 1 ? "Cannot tell: one seed has no interval."
                  : "Cannot tell: all seeds differ alike, no interval.";
}

struct Part {
  std::string question, yes, no, remark;
};

Part part_of(const std::string& key, const ResultRow& with, const ResultRow& without) {
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
  if (key == "background" && b == "false")
    return {"Does background help as a class that is ranked?", "Yes, with background it is better.",
            "No, without background it is better.", ""};
  if (key == "positives" && b == "true")
    return {"Do boxes of background help?", "Yes, all boxes are better than those of objects alone.",
            "No, boxes of objects alone are better.",
            "The term is a mean over the boxes: of objects alone it is larger."};
  return {text("Is ", key, " = ", a, " better than ", b, "?"), text("Yes, ", a, " is better."),
          text("No, ", b, " is better."), ""};
}

// As in Summary, of the runs that count; a published report says it in its settings alone.
std::set<std::string> best_by(const ResultPair& pair) {
  std::set<std::string> all;
  for (const ResultRow& row : pair.rows) {
    const bool held_out = row.settings && row.settings->data.validation > 0;
    for (const ResultRun& run : row.runs) {
      const std::string& said = run.summary.best_by;
      if (run.counts()) all.insert(!said.empty() ? said : held_out ? "validation" : "test");
    }
  }
  return all;
}

}  // namespace

std::string best_words(const ResultPair& pair) {
  return best_words(best_by(pair));
}

std::string best_words(const Results& data) {
  std::set<std::string> all;
  for (const ResultPair& pair : data.pairs) {
    all.merge(best_by(pair));
    if (pair.teacher_summary && !pair.teacher_summary->best_by.empty())
      all.insert(pair.teacher_summary->best_by);
  }
  return best_words(all);
}

std::string score_words(const Results& data) {
  std::vector<std::string> titles;
  for (const ResultPair& pair : data.pairs) {
    const std::string& title = pair.metric().title;
    if (std::find(titles.begin(), titles.end(), title) == titles.end()) titles.push_back(title);
  }
  return join(titles, " and ") + " on the test images";
}

std::string unit_words(const Results& data) {
  const bool percent = std::all_of(data.pairs.begin(), data.pairs.end(),
                                   [](const ResultPair& pair) { return pair.metric().in_percent(); });
  return percent ? " in percent" : "";
}

std::string difference_words(const Results& data) {
  return data.pairs.empty() ? "" : data.pairs[0].metric().of_differences();
}

std::vector<AblationAnswer> ablation_answers(const ResultPair& pair) {
  std::vector<AblationAnswer> answers;
  const auto row_named = [&](const std::string& label) {
    const auto row = std::find_if(pair.rows.begin(), pair.rows.end(),
                                  [&](const ResultRow& one) { return one.label == label; });
    return row == pair.rows.end() ? nullptr : &*row;
  };
  if (!pair.answers.empty()) {
    for (const PublishedAnswer& published : pair.answers) {
      const ResultRow *with = row_named(published.with), *without = row_named(published.without);
      if (!with || !without) continue;
      const Comparison comparison = compare_rows(*with, *without);
      answers.push_back({.question = published.question,
                         .with = with->label,
                         .without = without->label,
                         .best = comparison.best,
                         .last = comparison.last,
                         .answer = published.answer,
                         .remark = {}});
    }
    return answers;
  }
  // The whole: the pcd row with most of its keys at their defaults, the first of them.
  const ResultRow* whole = nullptr;
  for (const ResultRow& row : pair.rows) {
    if (row.method != "pcd" || !row.settings || !row.apart.empty()) continue;
    if (!whole || keys_set(*row.settings) < keys_set(*whole->settings)) whole = &row;
  }
  if (!whole) return answers;
  const auto add = [&](const Part& part, const ResultRow& without) {
    const Comparison comparison = compare_rows(*whole, without);
    AblationAnswer answer{.question = part.question,
                          .with = whole->label,
                          .without = without.label,
                          .best = comparison.best,
                          .last = comparison.last,
                          .answer = answer_text(comparison, *whole, without, part.yes, part.no),
                          .remark = part.remark};
    answers.push_back(std::move(answer));
  };
  for (const ResultRow& row : pair.rows) {
    if (&row == whole || !row.settings || !row.apart.empty()) continue;
    if (row.method == "pcd-released") {
      add({"Is the paper's form better than the released code's?", "Yes, the paper's form is better.",
           "No, the released code's form is better.",
           "The released code computes another loss: no ranking, no groups, and a much larger weight."},
          row);
    } else if (row.method == "pcd") {
      const std::vector<std::string> keys = differing_keys(*whole, row);
      if (keys.size() == 1) add(part_of(keys[0], *whole, row), row);
    }
  }
  return answers;
}

RankCorrelation rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  check(a.size() == b.size(), "rank_correlation: ", a.size(), " and ", b.size(), " values, expected pairs");
  RankCorrelation result{.n = a.size(), .rho = nan, .low = nan, .high = nan};
  if (result.n < 4 || !all_finite(a) || !all_finite(b)) return result;
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

std::string correlation_text(const RankCorrelation& c) {
  if (std::isnan(c.rho)) return "–";
  return signed_number(c.rho, 2) + " (" + signed_number(c.low, 2) + " to " + signed_number(c.high, 2) + ")";
}

std::string correlation_verdict(const RankCorrelation& c, const std::string& method, size_t seeds) {
  if (seeds < 2) return "Cannot tell: one seed is one network, not the method.";
  if (std::isnan(c.rho)) return "Cannot tell: too few classes, or all the same.";
  if (c.high < 0) return method + " gains more on classes that the teacher is less sure of.";
  if (c.low > 0) return method + " gains more on classes that the teacher is sure of.";
  return "Cannot tell: the interval contains zero.";
}

std::vector<std::string> missing_sentences(const Results& data) {
  std::vector<std::string> sentences = apart_sentences(data);
  std::set<std::filesystem::path> told;
  for (const ResultPair& pair : data.pairs) {
    for (const ResultRow& row : pair.rows) {
      for (const ResultRun& run : row.runs) {
        if (run.finished() || (!run.folder.empty() && !told.insert(run.folder).second)) continue;
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
