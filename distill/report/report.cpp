#include "distill/report/report.h"

#include <limits>

#include "datasets/formats/png_writer.h"
#include "distill/report/analysis.h"
#include "distill/report/headline.h"
#include "distill/study/collect.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {

ClassGains class_gains(const Report& report, size_t pair_index, size_t row_index) {
  const ResultPair& pair = report.data.pairs[pair_index];
  const ResultRow &row = pair.rows[row_index], *kd = pair.plain_kd();
  if (pair.classes) {
    const auto known = pair.classes->gains.find(row.label);
    if (known == pair.classes->gains.end()) return {};
    return {known->second, against_kd(pair, row).last.n};
  }
  if (pair_index >= report.evaluations.pairs.size()) return {};
  if (!kd || kd == &row || !compare_rows(row, *kd).apart.empty()) return {};
  const PairEvaluation& evaluation = report.evaluations.pairs[pair_index];
  const auto kd_index = size_t(kd - pair.rows.data());
  ClassGains gains;
  std::vector<double>& sums = gains.by_class;
  for (size_t s = 0; s < row.runs.size(); ++s) {
    for (size_t k = 0; k < kd->runs.size(); ++k) {
      const ClassAccuracy& own = evaluation.students[row_index][s];
      const ClassAccuracy& base = evaluation.students[kd_index][k];
      const std::string& hash = row.runs[s].summary.weights_hash;
      const bool same = !hash.empty() && hash == kd->runs[k].summary.weights_hash;
      if (row.runs[s].seed != kd->runs[k].seed || same || own.images.empty() || base.images.empty()) continue;
      sums.resize(own.images.size());
      for (size_t c = 0; c < sums.size(); ++c) {
        sums[c] += own.images[c] > 0 && base.images[c] > 0 ? own.percent(c) - base.percent(c)
                                                           : std::numeric_limits<double>::quiet_NaN();
      }
      ++gains.seeds;
    }
  }
  for (double& sum : sums) sum /= double(gains.seeds);
  return gains;
}

std::vector<std::string> missing_sentences(const Report& report) {
  std::vector<std::string> sentences = missing_sentences(report.data);
  for (const auto* notes : {&report.evaluations.notes, &report.detectors.notes})
    sentences.insert(sentences.end(), notes->begin(), notes->end());
  return sentences;
}

Report make_report(const std::vector<std::filesystem::path>& folders, const ReportOptions& options,
                   Progress& progress) {
  Report report{.data = collect_results(folders), .evaluations = {}, .evaluated = options.evaluate};
  if (report.data.published) {
    report.evaluated = true;
    for (const ResultPair& pair : report.data.pairs) {
      report.evaluations.pairs.push_back({});
      if (!pair.classes) continue;
      report.evaluations.pairs.back().class_names = pair.classes->names;
      report.evaluations.pairs.back().confidence = pair.classes->confidence;
    }
  }
  if (!options.evaluate || report.data.published) return report;
  const std::filesystem::path out = options.out.empty() ? folders.front() : options.out;
  const EvaluationOptions evaluating{.cache = out / "report-cache.json",
                                     .data = options.data,
                                     .data_keys = options.data_keys,
                                     .mean = options.mean,
                                     .deviation = options.deviation,
                                     .pictures = options.pictures,
                                     .threads = options.threads};
  report.evaluations = evaluate_report(report.data, evaluating, progress);
  report.detectors = evaluate_detectors(report.data, evaluating, progress);
  return report;
}

WrittenReport write_report(const std::vector<std::filesystem::path>& folders, const ReportOptions& options,
                           Progress& progress) {
  const std::filesystem::path out = options.out.empty() ? folders.front() : options.out;
  std::error_code error;
  if (!options.out.empty()) {
    std::filesystem::create_directories(out, error);
    check(!error, Fault::write, out.string(), ": the folder cannot be made: ", error.message());
  }
  WrittenReport written{make_report(folders, options, progress), out / "report.html"};
  const Report& report = written.report;
  // Its page may hold more than its report.json.
  std::error_code ignored;
  if (report.data.published && std::filesystem::equivalent(out, folders.front(), ignored) &&
      std::filesystem::exists(written.page, ignored))
    return written;
  if (const std::optional<Sketch> picture = headline(report.data)) {
    write_png(out / "headline.png", sketch_image(*picture));
    write_file(out / "headline.svg", sketch_svg(*picture, report.data.title));
  }
  write_file(out / "report.html", report_html(report));
  write_file(out / "report.md", report_markdown(report));
  write_file(out / "report.csv", report_csv(report));
  if (const std::string classes = report_classes_csv(report); !classes.empty())
    write_file(out / "classes.csv", classes);
  if (!report.data.published || !std::filesystem::exists(out / "report.json", ignored))
    write_file(out / "report.json", report_json(report));
  return written;
}

}  // namespace retort
