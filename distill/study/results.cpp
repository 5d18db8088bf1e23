#include "distill/study/results.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "distill/methods/registry.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

// What changes no result, what is the pair's or the method's, and what becomes "teacher's logits" below.
bool aside(const SettingKey& key) {
  static const std::set<std::string> of_pair = {"command",   "model",    "teacher", "teacher_model",
                                                "data.spec", "typed_in", "seed"};
  return key.effect == KeyEffect::none || of_pair.contains(key.name) || key.name == "teacher_source" ||
         key.name.starts_with("teacher_table.") || key.name.starts_with("boxes.");
}

// "4 epochs" of epochs and 4.
std::string words_of(const std::string& key, const std::string& value) {
  const auto count = [&](const std::string& what) { return value + " " + what + (value == "1" ? "" : "s"); };
  if (key == "epochs") return count("epoch");
  if (key == "data.limit") return value == "0" ? "all training images" : count("training image");
  if (key == "data.validation") return value == "0" ? "no images held out" : value + " images held out";
  if (key == "data.views") return count("view");
  if (key == "optimizer.lr") return "lr " + value;
  const std::string shown = value.empty() ? "unset" : value;
  return (key.starts_with("optimizer.") || key.starts_with("schedule.") ? key.substr(key.find('.') + 1)
                                                                        : key) +
         " " + shown;
}

// The second value, where the first was said with its unit.
std::string short_words_of(const std::string& key, const std::string& value) {
  if (key == "data.limit" || key == "data.validation")
    return value == "0" ? (key == "data.limit" ? "all" : "none") : value;
  return value.empty() ? "unset" : value;
}

struct Differing {
  std::string key, a, b;
};

std::vector<Differing> differing(const RunSettings& a, const RunSettings& b) {
  std::vector<Differing> all;
  const KeysAndTexts keys_a = training_keys(a), keys_b = training_keys(b);
  const bool both_taught = a.method.method().reads.teacher && b.method.method().reads.teacher;
  for (size_t i = 0; i < keys_a.size(); ++i) {
    const auto& [key, value] = keys_a[i];
    if (value == keys_b[i].second || (key.starts_with("teacher") && !both_taught)) continue;
    // Scaled with the epochs.
    if (key == "schedule.milestones" && a.epochs != b.epochs) continue;
    all.push_back({key, value, keys_b[i].second});
  }
  return all;
}

// Whether `a` rather than `b` stands for their seed.
bool stands_before(const ResultRun& a, const ResultRun& b) {
  const auto key = [](const ResultRun& run) {
    return std::make_tuple(run.folder.empty() && !run.finished(), !run.finished(), -run.summary.epochs_done,
                           run.summary.weights_hash, run.status, run.problem, run.folder.empty(), run.folder);
  };
  return key(a) < key(b);
}

std::string as_copy(const ResultRun& first) {
  return text("the weights of seed ", first.seed);
}

bool is_number(const EpochResult& result) {
  return result.measured() && std::isfinite(result.first());
}

PairedDifference difference(const ResultRow& row, const ResultRow& reference,
                            std::optional<EpochResult> Summary::*which, size_t& same_weights) {
  std::vector<double> a, b;
  same_weights = 0;
  for (const ResultRun& run : row.runs) {
    for (const ResultRun& other : reference.runs) {
      if (run.seed != other.seed || !run.counts() || !other.counts()) continue;
      const auto &one = run.summary.*which, &two = other.summary.*which;
      if (!one || !two || !is_number(*one) || !is_number(*two)) continue;
      const std::string& hash = run.summary.weights_hash;
      if (!hash.empty() && hash == other.summary.weights_hash) {
        ++same_weights;
        continue;
      }
      a.push_back(one->first());
      b.push_back(two->first());
    }
  }
  PairedDifference found = paired_difference(a, b);
  found.higher_is_better = row.metric().higher_is_better;
  found.digits = row.metric().digits();
  return found;
}

// Of the first that has begun; null: none has.
const Metric* metric_of(const ResultRow& row) {
  for (const ResultRun& run : row.runs)
    if (!run.summary.status.empty()) return &run.summary.metrics[0];
  return nullptr;
}

// Of the method's keys those that are not at their defaults; warmup, which is scaled, aside.
KeysAndTexts unusual_keys(const RunSettings& settings) {
  RunSettings usual;
  usual.method = MethodSettings(settings.method.method());
  const KeysAndTexts all = method_keys(settings), of_usual = method_keys(usual);
  KeysAndTexts keys;
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i].first != "warmup" && all[i] != of_usual[i]) keys.push_back(all[i]);
  return keys;
}

}  // namespace

std::string best_words(const std::set<std::string>& by) {
  const std::string test = "best test epoch", held_out = "epoch that held-out images chose";
  if (!by.contains("validation")) return test;
  return by.contains("test") ? test + ", or, where images were held out, the " + held_out : held_out;
}

KeysAndTexts training_keys(const RunSettings& settings) {
  KeysAndTexts keys;
  const RunSettings decided = as_decided(settings);
  for (const SettingKey& key : setting_keys()) {
    if (!aside(key)) keys.emplace_back(key.name, get_key(decided, key));
  }
  std::string logits;
  if (settings.method.method().reads.teacher && decided.teacher_source == "table")
    logits =
        decided.teacher_table.precision == "f32" ? "stored" : "stored as " + decided.teacher_table.precision;
  keys.emplace_back("teacher's logits", logits);
  return keys;
}

KeysAndTexts method_keys(const RunSettings& settings) {
  KeysAndTexts keys = {{"name", settings.method.method().name}};
  for (const auto& value : settings.method.list()) keys.emplace_back(value.key.name, value.text);
  const auto word = [](bool flag) { return flag ? "true" : "false"; };
  keys.emplace_back("background", word(settings.method_boxes.background));
  keys.emplace_back("positives", word(settings.method_boxes.positives));
  return keys;
}

size_t distance(const RunSettings& a, const RunSettings& b) {
  return differing(a, b).size();
}

std::string apart_by(const RunSettings& a, const RunSettings& b) {
  std::string words;
  for (const Differing& d : differing(a, b))
    words += (words.empty() ? "" : ", ") + words_of(d.key, d.a) + " against " + short_words_of(d.key, d.b);
  return words;
}

std::string own_words(const RunSettings& a, const RunSettings& b) {
  std::string words;
  for (const Differing& d : differing(a, b)) words += (words.empty() ? "" : ", ") + words_of(d.key, d.a);
  return words;
}

size_t keys_set(const RunSettings& settings) {
  return unusual_keys(settings).size();
}

std::string method_label(const RunSettings& settings) {
  std::string label = settings.method.method().name;
  for (const auto& [key, value] : unusual_keys(settings)) label += ", " + key + " " + value;
  return label;
}

bool ResultRow::reads_teacher() const {
  const MethodInfo* known = find_method(method);
  return settings ? settings->method.method().reads.teacher : known && known->reads.teacher;
}

size_t ResultRow::finished() const {
  return size_t(std::count_if(runs.begin(), runs.end(), [](const ResultRun& run) { return run.counts(); }));
}

bool ResultRow::all_diverged() const {
  return !runs.empty() &&
         std::all_of(runs.begin(), runs.end(), [](const ResultRun& run) { return run.status == "diverged"; });
}

std::vector<double> ResultRow::values(std::optional<EpochResult> Summary::*which) const {
  std::vector<double> all;
  for (const ResultRun& run : runs) {
    const auto& result = run.summary.*which;
    if (run.counts() && result && result->measured()) all.push_back(result->first());
  }
  return all;
}

const Metric& ResultRow::metric() const {
  const Metric* const found = metric_of(*this);
  return found ? *found : classification_metrics()[0];
}

const Metric& ResultPair::metric() const {
  for (const ResultRow& row : rows)
    if (const Metric* const found = metric_of(row)) return *found;
  return teacher_summary ? teacher_summary->metrics[0] : classification_metrics()[0];
}

const ResultRow* ResultPair::plain_kd() const {
  const ResultRow* best = nullptr;
  const auto rank = [](const ResultRow& row) {
    return std::make_tuple(!row.settings, row.settings ? keys_set(*row.settings) : size_t(row.label != "kd"),
                           row.settings ? method_keys(*row.settings) : KeysAndTexts{});
  };
  for (const ResultRow& row : rows) {
    if (row.method == "kd" && row.apart.empty() && (!best || rank(row) < rank(*best))) best = &row;
  }
  return best;
}

const RunSettings* ResultPair::taught() const {
  const ResultRow* kd = plain_kd();
  if (kd && kd->settings) return &*kd->settings;
  const auto first = std::find_if(rows.begin(), rows.end(), [](const ResultRow& row) {
    return row.apart.empty() && row.settings && !row.settings->teacher.empty();
  });
  return first == rows.end() ? nullptr : &*first->settings;
}

const ResultRow* ResultPair::alone() const {
  for (const ResultRow& row : rows) {
    if (row.method == "ce" && row.apart.empty()) return &row;
  }
  return nullptr;
}

std::string ResultPair::data_name() const {
  if (is_cifar100()) return "CIFAR-100";
  if (data.starts_with("cifar10")) return "CIFAR-10";
  if (is_synthetic()) return "images drawn by the program";
  if (data.starts_with("scenes")) return "scenes drawn by the program";
  return kind_of_data(data);
}

void settle(ResultRow& row) {
  std::vector<ResultRun> all = std::move(row.runs);
  all.insert(all.end(), std::make_move_iterator(row.extra.begin()), std::make_move_iterator(row.extra.end()));
  row.runs.clear();
  row.extra.clear();
  std::stable_sort(all.begin(), all.end(), [](const ResultRun& a, const ResultRun& b) {
    return a.seed != b.seed ? a.seed < b.seed : stands_before(a, b);
  });
  std::map<std::string, const ResultRun*> by_weights;
  row.runs.reserve(all.size());
  for (ResultRun& run : all) {
    run.left_out.clear();
    const std::string& hash = run.summary.weights_hash;
    const bool known = run.finished() && !hash.empty();
    const auto first = known ? by_weights.find(hash) : by_weights.end();
    if (!row.runs.empty() && row.runs.back().seed == run.seed) {
      if (run.folder.empty() && !run.finished()) continue;  // was missing, and is there
      run.left_out = first != by_weights.end() ? as_copy(*first->second) : text("seed ", run.seed, " again");
      row.extra.push_back(std::move(run));
      continue;
    }
    if (first != by_weights.end()) run.left_out = as_copy(*first->second);
    row.runs.push_back(std::move(run));
    if (known) by_weights.try_emplace(row.runs.back().summary.weights_hash, &row.runs.back());
  }
}

void fill_missing_seeds(ResultPair& pair) {
  const ResultRow* reference = pair.plain_kd() ? pair.plain_kd() : pair.alone();
  const auto joins = [&](const ResultRow& row) {
    return row.apart.empty() && (!reference || !row.settings || !reference->settings ||
                                 distance(*row.settings, *reference->settings) == 0);
  };
  std::set<uint64_t> seeds;
  std::vector<ResultRow*> rows;
  for (ResultRow& row : pair.rows) {
    if (joins(row)) rows.push_back(&row);
  }
  for (const ResultRow* row : rows) {
    for (const ResultRun& run : row->runs) seeds.insert(run.seed);
  }
  constexpr size_t most_runs = 100'000;
  check(rows.size() * seeds.size() <= most_runs, Fault::input, rows.size(), " rows with ", seeds.size(),
        " seeds in all, expected at most ", most_runs, " runs");
  for (ResultRow* row : rows) {
    std::set<uint64_t> there;
    for (const ResultRun& run : row->runs) there.insert(run.seed);
    for (const uint64_t seed : seeds) {
      if (there.contains(seed)) continue;
      row->runs.push_back({});
      row->runs.back().seed = seed;
    }
    std::sort(row->runs.begin(), row->runs.end(),
              [](const ResultRun& a, const ResultRun& b) { return a.seed < b.seed; });
  }
}

Comparison compare_rows(const ResultRow& row, const ResultRow& reference) {
  Comparison comparison;
  const std::vector<double> nothing;
  comparison.best = comparison.last = paired_difference(nothing, nothing);
  if (row.settings && reference.settings) comparison.apart = apart_by(*row.settings, *reference.settings);
  if (comparison.apart.empty()) comparison.apart = row.apart;
  if (!comparison.apart.empty()) return comparison;
  size_t ignored = 0;
  comparison.best = difference(row, reference, &Summary::best, ignored);
  comparison.last = difference(row, reference, &Summary::last, comparison.same_weights);
  return comparison;
}

Comparison against_kd(const ResultPair& pair, const ResultRow& row) {
  const ResultRow* kd = pair.plain_kd();
  if (kd && kd != &row) return compare_rows(row, *kd);
  const std::vector<double> nothing;
  return {
      .apart = {}, .best = paired_difference(nothing, nothing), .last = paired_difference(nothing, nothing)};
}

Verdict verdict_of(const PairedDifference& d) {
  if (d.n < 2 || std::isnan(d.low)) return Verdict::unknown;
  if (d.low > 0) return d.higher_is_better ? Verdict::better : Verdict::worse;
  if (d.high < 0) return d.higher_is_better ? Verdict::worse : Verdict::better;
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
  if (d.n >= 2) return "no interval: all seeds differ alike";
  return d.n == 1 ? "one seed: no interval" : "";
}

std::string verdict_text(const Comparison& comparison) {
  if (!comparison.apart.empty()) return "not comparable: " + comparison.apart;
  if (comparison.last.n == 0 && comparison.same_weights > 0) return "the same weights: no comparison";
  return verdict_text(comparison.last);
}

std::string difference_text(const PairedDifference& d) {
  if (d.n == 0) return "";
  const auto shown = [&](double value) { return signed_number(value, d.digits); };
  return shown(d.mean) + (std::isnan(d.low) ? "" : " (" + shown(d.low) + " to " + shown(d.high) + ")");
}

std::string mean_cell(const ResultRow& row, std::optional<EpochResult> Summary::*which,
                      const std::string& none) {
  const std::vector<double> values = row.values(which);
  if (!values.empty()) return mean_and_deviation(values, row.metric().digits());
  for (const char* status : {"diverged", "failed"}) {
    const bool any = std::any_of(row.runs.begin(), row.runs.end(),
                                 [&](const ResultRun& run) { return run.status == status; });
    const bool others = std::any_of(row.runs.begin(), row.runs.end(), [&](const ResultRun& run) {
      return run.status != status && run.status != "missing";
    });
    if (any && !others) return status;
  }
  return none;
}

namespace {

void add_row_sentences(const ResultPair& pair, std::vector<std::string>& sentences) {
  for (const ResultRow& row : pair.rows) {
    const std::string place = pair.name + ", " + row.label + ": ";
    size_t copies = 0, again = 0;
    for (const ResultRun& run : row.extra) ++(run.left_out.starts_with("the weights") ? copies : again);
    for (const ResultRun& run : row.runs) copies += !run.left_out.empty();
    if (copies > 0)
      sentences.push_back(place + (copies == 1 ? "one run has" : text(copies, " runs have")) +
                          " the weights of another: a copy, which does not count");
    if (again > 0)
      sentences.push_back(place + (again == 1 ? "one run is" : text(again, " runs are")) +
                          " of a seed that is there already, with other weights; one run a seed counts");
    const Comparison comparison = against_kd(pair, row);
    if (!comparison.apart.empty())
      sentences.push_back(place + "not comparable: " + comparison.apart);
    else if (comparison.same_weights > 0)
      sentences.push_back(
          place + text(comparison.same_weights, comparison.same_weights == 1 ? " seed has" : " seeds have") +
          " the very weights of " + pair.plain_kd()->label + ", which is no comparison");
  }
}

// Where every run that counts was tested on what says nothing.
void add_unmeasured_sentence(const ResultPair& pair, std::vector<std::string>& sentences) {
  size_t runs = 0, measured = 0;
  for (const ResultRow& row : pair.rows) {
    runs += row.finished();
    measured += row.values(&Summary::last).size();
  }
  if (runs > 0 && measured == 0) sentences.push_back(pair.name + ": " + pair.metric().not_measured());
}

// Why two tables of one student are two; empty if they are not known to differ.
std::string pairs_apart(const ResultPair& a, const ResultPair& b) {
  if (a.data_name() != b.data_name()) return a.data_name() + " against " + b.data_name();
  if (a.data_hash != b.data_hash || (a.data_hash.empty() && a.data != b.data)) return "other images";
  if (a.teacher != b.teacher && !a.teacher.empty() && !b.teacher.empty())
    return "teacher " + a.teacher + " against " + b.teacher;
  if (a.teacher_hash != b.teacher_hash && !a.teacher.empty() && !b.teacher.empty())
    return "another teacher's weights";
  const auto &one = a.rows.front().settings, &two = b.rows.front().settings;
  return one && two ? apart_by(*one, *two) : "";
}

}  // namespace

std::vector<std::string> apart_sentences(const Results& results) {
  std::vector<std::string> sentences;
  for (const ResultPair& pair : results.pairs) {
    add_row_sentences(pair, sentences);
    add_unmeasured_sentence(pair, sentences);
    // Against the first table of its student.
    const auto first = std::find_if(results.pairs.begin(), results.pairs.end(),
                                    [&](const ResultPair& other) { return other.student == pair.student; });
    if (&*first == &pair) continue;
    const std::string why = pairs_apart(pair, *first);
    if (!why.empty()) sentences.push_back(pair.name + " and " + first->name + ": not comparable: " + why);
  }
  return sentences;
}

}  // namespace retort
