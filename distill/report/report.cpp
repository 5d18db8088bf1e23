#include "distill/report/report.h"

#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {

std::vector<double> class_gains(const Report& report, size_t pair_index, size_t row_index) {
  if (pair_index >= report.evaluations.pairs.size()) return {};
  const ReportPair& pair = report.data.pairs[pair_index];
  const PairEvaluation& evaluation = report.evaluations.pairs[pair_index];
  const ReportRow* kd = pair.plain_kd();
  if (!kd || kd == &pair.rows[row_index]) return {};
  const auto kd_index = size_t(kd - pair.rows.data());
  std::vector<double> sums;
  size_t seeds = 0;
  for (size_t s = 0; s < pair.rows[row_index].runs.size() && s < kd->runs.size(); ++s) {
    const ClassAccuracy& own = evaluation.students[row_index][s];
    const ClassAccuracy& base = evaluation.students[kd_index][s];
    if (pair.rows[row_index].runs[s].seed != kd->runs[s].seed || own.images.empty() || base.images.empty())
      continue;
    sums.resize(own.images.size());
    for (size_t c = 0; c < sums.size(); ++c) {
      if (own.images[c] > 0) sums[c] += own.percent(c) - base.percent(c);
    }
    ++seeds;
  }
  for (double& sum : sums) sum /= double(seeds);
  return sums;
}

Report write_report(const std::filesystem::path& folder, const ReportOptions& options, Progress& progress) {
  Report report{.data = collect_report(folder), .evaluations = {}, .evaluated = options.evaluate};
  const std::filesystem::path out = options.out.empty() ? folder : options.out;
  std::error_code error;
  std::filesystem::create_directories(out, error);
  check(!error, Fault::write, out.string(), ": the folder cannot be made: ", error.message());
  if (options.evaluate) {
    const EvaluationOptions evaluating{.cache = out / "report-cache.json",
                                       .data = options.data,
                                       .mean = options.mean,
                                       .deviation = options.deviation,
                                       .pictures = options.pictures || report.data.is_synthetic(),
                                       .threads = options.threads};
    report.evaluations = evaluate_report(report.data, evaluating, progress);
  }
  write_file(out / "report.html", report_html(report));
  write_file(out / "report.md", report_markdown(report));
  write_file(out / "report.csv", report_csv(report));
  write_file(out / "report.json", report_json(report));
  return report;
}

}  // namespace retort
