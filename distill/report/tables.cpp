// The report as Markdown, CSV and JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "distill/report/class_findings.h"
#include "distill/report/page.h"
#include "distill/report/published.h"
#include "distill/run/metrics_csv.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

// Where the runs' data and teachers lie is nobody's business.
Json settings_json(const RunSettings& settings) {
  const RunSettings shown = without_places(settings);
  Json json = Json::object();
  for (const auto& [name, key, value] : key_values(shown)) json[name] = value;
  return json;
}

Json json_of(const PairedDifference& d) {
  if (d.n == 0) return nullptr;
  return {{"n", d.n},
          {"mean", number(d.mean)},
          {"deviation", number(d.deviation)},
          {"low", number(d.low)},
          {"high", number(d.high)},
          {"p", number(d.p)},
          {"verdict", verdict_text(d)}};
}

Json json_of(const std::optional<EpochResult>& result) {
  if (!result) return nullptr;
  Json json = {{"epoch", result->epoch}};
  for (const MetricValue& one : result->values)
    if (!one.metric.is_loss()) json[one.metric.name] = number(one.value);
  return json;
}

Json metric_json(const Metric& metric) {
  return {
      {"name", metric.name}, {"unit", metric.unit}, {"better", metric.higher_is_better ? "higher" : "lower"}};
}

Json json_of(const std::vector<double>& values) {
  return {
      {"n", values.size()}, {"mean", number(mean_of(values))}, {"deviation", number(deviation_of(values))}};
}

Json row_json(const Report& report, size_t p, size_t r) {
  const ResultPair& pair = report.data.pairs[p];
  const ResultRow& row = pair.rows[r];
  Json runs = Json::array();
  std::vector<ResultRun> all = row.runs;
  all.insert(all.end(), row.extra.begin(), row.extra.end());
  for (const ResultRun& run : all) {
    Json one = {{"seed", run.seed},
                {"status", run.status},
                {"best", json_of(run.summary.best)},
                {"last", json_of(run.summary.last)},
                {"seconds", number(run.summary.seconds)},
                {"weights_hash", run.summary.weights_hash}};
    if (!run.problem.empty()) one["problem"] = run.problem;
    if (!run.left_out.empty()) one["left_out"] = run.left_out;
    Json curve = Json::array();
    for (const EpochMetrics& m : run.metrics.rows)
      curve.push_back(Json::array({m.epoch, number(m.first().value)}));
    if (!curve.empty()) one["curve"] = std::move(curve);
    runs.push_back(std::move(one));
  }
  const Comparison d = against_kd(pair, row);
  Json json = {{"label", row.label},
               {"method", row.method},
               {"best", json_of(row.values(&Summary::best))},
               {"last", json_of(row.values(&Summary::last))},
               {"to_kd_best", json_of(d.best)},
               {"to_kd_last", json_of(d.last)}};
  if (!d.apart.empty()) json["not_comparable"] = d.apart;
  if (row.settings) json["settings"] = settings_json(*row.settings);
  const auto [published, departs] = published_beside(pair, row);
  if (published) {
    json["published"] = {{"top1", published->top1},
                         {"epochs", published->epochs},
                         {"source", published->source},
                         {"comparable", departs.empty()}};
    if (!departs.empty()) json["published"]["departs"] = departs;
  }
  json["runs"] = runs;
  return json;
}

Json classes_json(const Report& report, size_t p) {
  const std::vector<double>& confidence = report.evaluations.pairs[p].confidence;
  if (confidence.empty()) return nullptr;
  Json gains = Json::object();
  for (const ClassFinding& f : class_findings(report)) {
    if (f.pair != p) continue;
    gains[report.data.pairs[p].rows[f.row].label] = {{"gain", f.gains},
                                                     {"seeds", f.seeds},
                                                     {"n", f.correlation.n},
                                                     {"rank_correlation", number(f.correlation.rho)},
                                                     {"low", number(f.correlation.low)},
                                                     {"high", number(f.correlation.high)},
                                                     {"least_sure_third", f.low_third},
                                                     {"surest_third", f.high_third}};
  }
  return {{"names", report.evaluations.pairs[p].class_names},
          {"teacher_confidence", confidence},
          {"over_kd", gains}};
}

// Average precision by class, null where there is nothing to find, and where the distillation pushes.
Json boxes_json(const ResultPair& pair, const PairBoxes& boxes) {
  const auto numbers = [](const std::vector<double>& values) {
    Json all = Json::array();
    for (const double value : values) all.push_back(value < 0 ? Json(nullptr) : Json(value));
    return all;
  };
  Json rows = Json::object(), pushes = Json::array();
  for (size_t r = 0; r < boxes.students.size(); ++r) {
    const std::vector<double> mean = boxes.mean_of_row(r);
    if (!mean.empty()) rows[pair.rows[r].label] = numbers(mean);
  }
  for (const Push& push : boxes.pushes)
    pushes.push_back({{"label", pair.rows[push.row].label},
                      {"seed", push.seed},
                      {"pictures", push.pictures},
                      {"object_boxes", push.objects},
                      {"background_boxes", push.background},
                      {"on_objects", number(push.on_objects)},
                      {"on_background", number(push.on_background)}});
  return {{"names", boxes.class_names}, {"teacher_ap", numbers(boxes.teacher)}, {"ap", rows}, {"push", pushes}};
}

// In percent; null where nothing was evaluated.
Json calibration_json(const ResultPair& pair, const PairEvaluation& evaluation) {
  Json json = {{"teacher", nullptr}, {"students", Json::object()}};
  if (!evaluation.teacher_judged.empty())
    json["teacher"] = 100 * evaluation.teacher_judged.calibration_error();
  for (size_t r = 0; r < evaluation.judged.size(); ++r) {
    std::vector<double> errors;
    for (const Judgement& one : evaluation.judged[r]) {
      if (!one.empty()) errors.push_back(100 * one.calibration_error());
    }
    if (!errors.empty()) json["students"][pair.rows[r].label] = json_of(errors);
  }
  return json;
}

std::string class_markdown(const Report& report) {
  TextTable table({"pair", "method", "rank correlation", "classes", "what it says"});
  bool any = false;
  for (const ClassFinding& f : class_findings(report)) {
    const ResultPair& pair = report.data.pairs[f.pair];
    const std::string& label = pair.rows[f.row].label;
    table.add_row({pair.name, label, correlation_text(f.correlation), std::to_string(f.correlation.n),
                   correlation_verdict(f.correlation, label, f.seeds)});
    any = true;
  }
  if (!any) return "";
  return "\n## Gain over KD by the teacher's confidence in the class\n\n" + table.markdown();
}

}  // namespace

std::string report_markdown(const Report& report) {
  std::string out = "# " + escaped_markdown(report.data.title) + "\n";
  for (const ResultPair& pair : report.data.pairs) {
    TextTable table({pair.student, "best", "last", "n", "last, to KD", "verdict", "best, to KD"});
    if (pair.teacher_summary) {
      const auto first = [&](const auto& r) {
        return r && r->measured() ? pair.metric().number(r->first()) : std::string("–");
      };
      table.add_row({"teacher " + pair.teacher, first(pair.teacher_summary->best),
                     first(pair.teacher_summary->last), "1", "", "", ""});
    }
    for (const ResultRow& row : pair.rows) {
      const Comparison d = against_kd(pair, row);
      table.add_row({row.label, mean_cell(row, &Summary::best, "–"), mean_cell(row, &Summary::last, "–"),
                     std::to_string(row.finished()), difference_text(d.last), verdict_text(d),
                     difference_text(d.best)});
    }
    out += "\n## " + escaped_markdown(pair.name) + "\n\n" + table.markdown();
  }
  out += "\n" + escaped_markdown(score_words(report.data)) + unit_words(report.data) +
         ", mean ± standard deviation; best is the " + best_words(report.data) +
         ". Differences are paired by seed, with their 95 % t-interval. Each interval stands for itself: of "
         "twenty, about one misses by chance.\n";
  const std::string points = difference_words(report.data);
  TextTable parts({"question", "compared", "last, " + points, "best, " + points, "n", "answer"});
  bool any = false;
  for (const ResultPair& pair : report.data.pairs) {
    for (const AblationAnswer& a : ablation_answers(pair)) {
      parts.add_row({a.question, a.with + " against " + a.without, difference_text(a.last),
                     difference_text(a.best), std::to_string(a.last.n), a.answer});
      any = true;
    }
  }
  if (any) out += "\n## Parts of PCD\n\n" + parts.markdown();
  out += class_markdown(report);
  std::string missing;
  for (const std::string& sentence : missing_sentences(report))
    missing += "- " + escaped_markdown(sentence) + "\n";
  if (!missing.empty()) out += "\n## Not complete, or not compared\n\n" + missing;
  return out;
}

std::string report_csv(const Report& report) {
  const std::string metric =
      report.data.pairs.empty() ? classification_metrics()[0].name : report.data.pairs[0].metric().name;
  TextTable table({"pair", "teacher", "student", "label", "method", "seed", "status", "best_" + metric,
                   "best_epoch", "last_" + metric, "last_epoch", "seconds", "weights_hash", "left_out",
                   "metric"});
  for (const ResultPair& pair : report.data.pairs) {
    for (const ResultRow& row : pair.rows) {
      std::vector<ResultRun> runs = row.runs;
      runs.insert(runs.end(), row.extra.begin(), row.extra.end());
      for (const ResultRun& run : runs) {
        const auto first = [](const auto& r) {
          return r && r->measured() ? exact_decimal(r->first()) : std::string();
        };
        const auto epoch = [](const auto& r) { return r ? std::to_string(r->epoch) : std::string(); };
        const Summary& s = run.summary;
        table.add_row({pair.name, pair.teacher, pair.student, row.label, row.method, std::to_string(run.seed),
                       run.status, first(s.best), epoch(s.best), first(s.last), epoch(s.last),
                       s.status.empty() ? "" : fixed(s.seconds, 1), s.weights_hash, run.left_out,
                       pair.metric().name});
      }
    }
  }
  return table.csv();
}

std::string report_classes_csv(const Report& report) {
  TextTable table({"pair", "label", "seed", "class", "metric", "value"});
  bool any = false;
  const auto add = [&](const ResultPair& pair, const std::string& label, const std::string& seed,
                       const std::vector<std::string>& classes, const std::string& metric,
                       const std::vector<double>& fractions) {
    for (size_t c = 0; c < std::min(classes.size(), fractions.size()); ++c) {
      if (std::isnan(fractions[c]) || fractions[c] < 0) continue;  // nothing of the class is there
      table.add_row({pair.name, label, seed, classes[c], metric, exact_decimal(100 * fractions[c])});
      any = true;
    }
  };
  for (size_t p = 0; p < report.data.pairs.size(); ++p) {
    const ResultPair& pair = report.data.pairs[p];
    const std::string teacher = "teacher " + pair.teacher;
    if (p < report.evaluations.pairs.size()) {
      const PairEvaluation& e = report.evaluations.pairs[p];
      add(pair, teacher, "", e.class_names, "confidence", e.confidence);
      for (size_t r = 0; r < e.students.size(); ++r) {
        for (size_t s = 0; s < e.students[r].size(); ++s) {
          const ClassAccuracy& own = e.students[r][s];
          std::vector<double> right;
          for (size_t c = 0; c < own.images.size(); ++c)
            right.push_back(double(own.correct[c]) / double(own.images[c]));
          add(pair, pair.rows[r].label, std::to_string(pair.rows[r].runs[s].seed), e.class_names, "top1",
              right);
        }
      }
    }
    if (p < report.detectors.pairs.size()) {
      const PairBoxes& boxes = report.detectors.pairs[p];
      add(pair, teacher, "", boxes.class_names, "AP", boxes.teacher);
      for (size_t r = 0; r < boxes.students.size(); ++r) {
        for (size_t s = 0; s < boxes.students[r].size(); ++s)
          add(pair, pair.rows[r].label, std::to_string(pair.rows[r].runs[s].seed), boxes.class_names, "AP",
              boxes.students[r][s]);
      }
    }
  }
  return any ? table.csv() : "";
}

std::string report_json(const Report& report) {
  Json pairs = Json::array();
  for (size_t p = 0; p < report.data.pairs.size(); ++p) {
    const ResultPair& pair = report.data.pairs[p];
    Json rows = Json::array();
    for (size_t r = 0; r < pair.rows.size(); ++r) rows.push_back(row_json(report, p, r));
    Json ablation = Json::array();
    for (const AblationAnswer& a : ablation_answers(pair)) {
      ablation.push_back({{"question", a.question},
                          {"with", a.with},
                          {"without", a.without},
                          {"best", json_of(a.best)},
                          {"last", json_of(a.last)},
                          {"answer", a.answer}});
    }
    Json teacher = {{"model", pair.teacher}, {"best", nullptr}, {"last", nullptr}};
    if (pair.teacher_summary) {
      teacher["best"] = json_of(pair.teacher_summary->best);
      teacher["last"] = json_of(pair.teacher_summary->last);
    }
    if (!pair.teacher_hash.empty()) teacher["weights_hash"] = pair.teacher_hash;
    Json json = {{"name", pair.name},
                 {"data", shown_spec(pair.data)},
                 {"data_hash", pair.data_hash},
                 {"student", pair.student},
                 {"metric", metric_json(pair.metric())},
                 {"teacher", teacher},
                 {"rows", rows},
                 {"ablation", ablation}};
    if (p < report.evaluations.pairs.size()) {
      json["classes"] = classes_json(report, p);
      json["calibration_error"] = calibration_json(pair, report.evaluations.pairs[p]);
    }
    if (p < report.detectors.pairs.size() && !report.detectors.pairs[p].empty())
      json["boxes"] = boxes_json(report.data.pairs[p], report.detectors.pairs[p]);
    pairs.push_back(std::move(json));
  }
  const std::vector<std::string> missing = missing_sentences(report);
  std::string data;
  for (const std::string& kind : data_kinds(report.data)) data += (data.empty() ? "" : ", ") + kind;
  const Json all = {
      {"schema", 1}, {"title", report.data.title}, {"data", data}, {"pairs", pairs}, {"missing", missing}};
  return sealed(all).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace retort
