#include "distill/report/class_findings.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace retort {

namespace {

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

std::vector<ClassFinding> class_findings(const Report& report) {
  std::vector<ClassFinding> findings;
  for (size_t p = 0; p < report.evaluations.pairs.size(); ++p) {
    const std::vector<double>& confidence = report.evaluations.pairs[p].confidence;
    for (size_t r = 0; r < report.data.pairs[p].rows.size() && !confidence.empty(); ++r) {
      if (!report.data.pairs[p].rows[r].reads_teacher()) continue;
      const auto [gains, seeds] = class_gains(report, p, r);
      if (gains.size() != confidence.size() || !all_finite(confidence) || !all_finite(gains)) continue;
      ClassFinding f{
          .pair = p, .row = r, .gains = gains, .confidence = confidence, .seeds = seeds, .correlation = {}};
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

}  // namespace retort
