#include "distill/report/class_findings.h"

#include <algorithm>
#include <cmath>

namespace retort {

namespace {

// The classes of which both are known, the teacher's least sure first.
std::vector<size_t> measured_classes(const std::vector<double>& confidence,
                                     const std::vector<double>& gains) {
  std::vector<size_t> classes;
  for (size_t c = 0; c < gains.size(); ++c)
    if (std::isfinite(confidence[c]) && std::isfinite(gains[c])) classes.push_back(c);
  std::stable_sort(classes.begin(), classes.end(),
                   [&](size_t a, size_t b) { return confidence[a] < confidence[b]; });
  return classes;
}

}  // namespace

std::vector<ClassFinding> class_findings(const Report& report) {
  std::vector<ClassFinding> findings;
  for (size_t p = 0; p < report.evaluations.pairs.size(); ++p) {
    const std::vector<double>& confidence = report.evaluations.pairs[p].confidence;
    for (size_t r = 0; r < report.data.pairs[p].rows.size() && !confidence.empty(); ++r) {
      if (!report.data.pairs[p].rows[r].reads_teacher()) continue;
      const auto [gains, seeds] = class_gains(report, p, r);
      if (gains.size() != confidence.size()) continue;
      const std::vector<size_t> order = measured_classes(confidence, gains);
      if (order.empty()) continue;
      ClassFinding f{.pair = p,
                     .row = r,
                     .gains = gains,
                     .confidence = confidence,
                     .classes = order,
                     .seeds = seeds,
                     .correlation = {}};
      std::vector<double> sure, better;
      for (const size_t c : order) {
        sure.push_back(confidence[c]);
        better.push_back(gains[c]);
      }
      f.correlation = rank_correlation(sure, better);
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
