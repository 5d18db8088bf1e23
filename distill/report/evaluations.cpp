#include "distill/report/evaluations.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "datasets/device_batch.h"
#include "datasets/loader.h"
#include "datasets/open.h"
#include "distill/evaluate/seen_by.h"
#include "distill/report/pcd_steps.h"
#include "distill/run/named_weights.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/step_graph.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* cache_format = "retort report cache 2";

// Weights as a run or a pair names them, and what is known of them where their file does not say.
struct Network {
  std::string spec, model = {}, mean = {}, deviation = {};
};

// A model on all images, in their order: N x classes.
std::vector<float> logits_of(Model& model, Device& device, const ImageSet& images, const Normalize& numbers) {
  constexpr int64_t batch_size = 200;
  check(images.classes <= model.classes && images.height == model.side && images.width == model.side,
        Fault::input, model.name, ": does not fit the images");
  fold_batch_norms(model, device);
  LoaderOptions loading = LoaderOptions::evaluation(batch_size, 1);
  loading.normalize = numbers;
  Loader loader(images, loading);
  DeviceBatch batches(device, images, batch_size, {.normalize = numbers});
  Array kept = device.persistent({batch_size, model.classes}, DType::f32);
  StepGraph graph(device);
  std::vector<float> logits;
  loader.begin_epoch(0);
  while (const HostBatch* host = loader.next()) {
    const Batch batch = batches.upload(*host);
    const Tensor rows{kept.tensor.data, {batch.size(), model.classes}, DType::f32};
    graph.run(batch.size(), [&] { device.backend().copy(model(Var(batch.images), Pass{device}), rows); });
    const size_t before = logits.size();
    logits.resize(before + size_t(batch.size() * model.classes));
    device.backend().download(logits.data() + before, rows);
  }
  device.step_arena().rewind();
  return logits;
}

// exp(z_c - max) / sum, of one row.
double probability(const float* row, size_t classes, size_t label) {
  const double top = *std::max_element(row, row + classes);
  double sum = 0;
  for (size_t c = 0; c < classes; ++c) sum += std::exp(double(row[c]) - top);
  return std::exp(double(row[label]) - top) / sum;
}

bool is_right(const float* row, size_t classes, int label) {
  return std::max_element(row, row + classes) - row == label;
}

class Evaluating {
 public:
  Evaluating(const ReportData& data, const EvaluationOptions& options, Progress& progress)
      : data_(data), options_(options), progress_(progress) {}

  Evaluations run() {
    read_cache();
    for (const ReportPair& pair : data_.pairs) evaluate(pair);
    if (changed_) write_file(options_.cache, cache_.dump(1) + "\n");
    return std::move(result_);
  }

 private:
  void read_cache() {
    std::error_code ignored;
    if (fs::exists(options_.cache, ignored))
      cache_ = Json::parse(read_text_file(options_.cache), nullptr, /*allow_exceptions=*/false);
    // Whatever is not ours is computed again.
    const std::string data = data_.is_synthetic() ? data_.data : data_.data.substr(0, data_.data.find(':'));
    if (!cache_.is_object() || cache_.value("format", Json()) != Json(cache_format) ||
        cache_.value("data", Json()) != Json(data))
      cache_ = {{"format", cache_format}, {"data", data}};
    attempt([&] {
      if (cache_.contains("class_names"))
        result_.class_names = cache_["class_names"].get<std::vector<std::string>>();
    });
  }

  const ImageSet& images() {
    if (!images_) {
      const std::string spec = options_.data.empty() ? data_.data : options_.data;
      images_ = std::make_unique<ImageSet>(open_dataset(spec, Parts::test).test);
      result_.class_names = images_->class_names;
      cache_["class_names"] = images_->class_names;
    }
    return *images_;
  }

  Device& device() {
    if (!device_) device_ = Device::open({.name = "auto", .threads = options_.threads});
    return *device_;
  }

  // Kept: the images to show are chosen with logits that the tables were made of.
  const std::vector<float>& computed(const Network& network) {
    const auto [at, is_new] = logits_.try_emplace(network.spec);
    if (!is_new && !at->second.empty()) return at->second;
    const Weights weights = weights_of(network);
    const std::unique_ptr<Model> model = load_model(weights, network.model, device());
    const ImageSet& set = images();
    check(model->classes == set.classes, Fault::input, network.spec, ": tells ", model->classes,
          " classes apart, the images have ", set.classes);
    progress_.note("evaluating " + network.spec);
    return at->second = logits_of(*model, device(), set, seen_by(weights, set));
  }

  Weights weights_of(const Network& network) const {
    Weights weights = read_weights(network.spec);
    if (!network.mean.empty())
      set_channel_numbers(weights, network.mean, network.deviation);
    else if (!weights.metadata("mean"))
      set_channel_numbers(weights, options_.mean, options_.deviation);
    return weights;
  }

  // With what its students' runs say of it.
  static Network teacher_of(const ReportPair& pair) {
    Network teacher{.spec = pair.teacher_weights};
    for (const ReportRow& row : pair.rows) {
      if (!row.settings || row.settings->teacher.empty()) continue;
      if (teacher.model.empty()) teacher.model = row.settings->teacher_model;
      if (!teacher.mean.empty()) continue;
      teacher.mean = row.settings->teacher_mean;
      teacher.deviation = row.settings->teacher_std;
    }
    return teacher;
  }

  static ClassAccuracy accuracy_of(const Json& json) {
    return {json.at("images").get<std::vector<int64_t>>(), json.at("correct").get<std::vector<int64_t>>()};
  }

  // The run's last weights, from the cache if they are those.
  ClassAccuracy student(const ReportRun& run) {
    const std::string key = "student " + run.summary.weights_hash;
    if (!run.summary.weights_hash.empty() && cache_.contains(key)) return accuracy_of(cache_[key]);
    const std::vector<float>& logits = computed({.spec = run.folder.string()});
    const ImageSet& set = images();
    const size_t classes = size_t(set.classes);
    ClassAccuracy accuracy{std::vector<int64_t>(classes), std::vector<int64_t>(classes)};
    for (size_t i = 0; i < set.labels.size(); ++i) {
      const auto label = size_t(set.labels[i]);
      ++accuracy.images[label];
      accuracy.correct[label] += is_right(logits.data() + i * classes, classes, set.labels[i]);
    }
    cache_[key] = {{"images", accuracy.images}, {"correct", accuracy.correct}};
    changed_ = true;
    return accuracy;
  }

  std::vector<double> confidence(const Network& teacher) {
    const std::string key = "teacher " + hash_of(teacher);
    if (cache_.contains(key)) return cache_[key].get<std::vector<double>>();
    const std::vector<float>& logits = computed(teacher);
    const ImageSet& set = images();
    const size_t classes = size_t(set.classes);
    std::vector<double> sums(classes), counts(classes);
    for (size_t i = 0; i < set.labels.size(); ++i) {
      const auto label = size_t(set.labels[i]);
      sums[label] += probability(logits.data() + i * classes, classes, label);
      ++counts[label];
    }
    for (size_t c = 0; c < classes; ++c) sums[c] /= std::max(1.0, counts[c]);
    cache_[key] = sums;
    changed_ = true;
    return sums;
  }

  // Of all that decides its answers.
  std::string hash_of(const Network& network) const {
    const Weights weights = weights_of(network);
    const std::string *mean = weights.metadata("mean"), *deviation = weights.metadata("std");
    return weights_hash(model_tensors(weights.file)) + (mean ? " " + *mean : "") +
           (deviation ? " " + *deviation : "");
  }

  void evaluate(const ReportPair& pair) {
    PairEvaluation evaluation;
    for (const ReportRow& row : pair.rows) {
      std::vector<ClassAccuracy> accuracies;
      for (const ReportRun& run : row.runs) {
        accuracies.push_back({});
        if (run.finished()) attempt([&] { accuracies.back() = student(run); });
      }
      evaluation.students.push_back(std::move(accuracies));
    }
    if (!pair.teacher_weights.empty()) {
      attempt([&] { evaluation.confidence = confidence(teacher_of(pair)); });
      attempt([&] { choose(pair, evaluation); });
    }
    result_.pairs.push_back(std::move(evaluation));
  }

  // Once the images or a file are missing, each further try would say the same.
  template <class Work>
  void attempt(Work&& work) {
    std::string note;
    try {
      work();
      return;
    } catch (const Error& error) {
      note = error.what();
    } catch (const Json::exception&) {
      note = options_.cache.string() + ": is not what this program writes there; delete it";
    }
    if (std::find(result_.notes.begin(), result_.notes.end(), note) == result_.notes.end())
      result_.notes.push_back(note);
  }

  static const ReportRun* first_finished(const ReportRow& row) {
    for (const ReportRun& run : row.runs) {
      if (run.finished()) return &run;
    }
    return nullptr;
  }

  // Three images on which the first seed of PCD can be seen at work.
  void choose(const ReportPair& pair, PairEvaluation& evaluation) {
    const ReportRun* run = nullptr;
    for (size_t r = 0; r < pair.rows.size() && !run; ++r) {
      if (pair.rows[r].method() != "pcd") continue;
      run = first_finished(pair.rows[r]);
      evaluation.chosen_row = r;
    }
    if (!run) return;
    evaluation.chosen_seed = run->seed;
    const MethodSettings& method = pair.rows[evaluation.chosen_row].settings->method;
    const std::string key = "chosen " + run->summary.weights_hash + " " + hash_of(teacher_of(pair));
    if (!cache_.contains(key)) {
      const ReportRow* kd = pair.plain_kd();
      const ReportRun* other = kd ? first_finished(*kd) : nullptr;
      cache_[key] = chosen_json(method, computed(teacher_of(pair)), computed({.spec = run->folder.string()}),
                                other ? computed({.spec = other->folder.string()}) : std::vector<float>());
      changed_ = true;
    }
    for (const Json& json : cache_[key]) {
      ChosenImage image{.reason = json.at("reason"),
                        .index = json.at("index"),
                        .label = json.at("label"),
                        .teacher = json.at("teacher").get<std::vector<double>>(),
                        .student = json.at("student").get<std::vector<double>>(),
                        .pixels = {}};
      if (options_.pictures) {
        const ImageSet& set = images();
        image.side = set.width;
        image.pixels.assign(set.image(image.index), set.image(image.index) + set.image_bytes());
      }
      evaluation.chosen.push_back(std::move(image));
    }
  }

  Json chosen_json(const MethodSettings& method, const std::vector<float>& teacher,
                   const std::vector<float>& student, const std::vector<float>& kd) {
    const ImageSet& set = images();
    const auto classes = size_t(set.classes);
    const size_t count = set.labels.size();
    const auto row_of = [&](const std::vector<float>& logits, size_t i) {
      return std::vector<double>(logits.begin() + int64_t(i * classes),
                                 logits.begin() + int64_t((i + 1) * classes));
    };
    std::vector<double> loss;
    for (size_t i = 0; i < count; ++i)
      loss.push_back(pcd_steps(method, row_of(teacher, i), row_of(student, i)).loss);
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return loss[a] > loss[b]; });

    Json all = Json::array();
    std::vector<size_t> taken;
    const auto add = [&](size_t i, const std::string& reason) {
      if (std::find(taken.begin(), taken.end(), i) != taken.end()) return;
      taken.push_back(i);
      all.push_back({{"reason", reason},
                     {"index", i},
                     {"label", set.labels[i]},
                     {"teacher", row_of(teacher, i)},
                     {"student", row_of(student, i)}});
    };
    add(order[count / 2], "its loss is the median over all test images");
    add(order[0], "its loss is the largest of all test images");
    if (!kd.empty()) {
      // Where the teacher is surest of the right class among those.
      double surest = -1;
      size_t at = 0;
      for (size_t i = 0; i < count; ++i) {
        const int label = set.labels[i];
        const float* t = teacher.data() + i * classes;
        if (!is_right(t, classes, label) || !is_right(student.data() + i * classes, classes, label) ||
            is_right(kd.data() + i * classes, classes, label))
          continue;
        const double p = probability(t, classes, size_t(label));
        if (p > surest) surest = p, at = i;
      }
      if (surest >= 0)
        add(at,
            "teacher and this student are right on it and the student of plain KD is not; of those it is "
            "the one the teacher is surest of");
    }
    return all;
  }

  const ReportData& data_;
  const EvaluationOptions& options_;
  Progress& progress_;
  Evaluations result_;
  Json cache_;
  bool changed_ = false;
  std::map<std::string, std::vector<float>> logits_;  // by weights
  std::unique_ptr<ImageSet> images_;
  std::unique_ptr<Device> device_;
};

}  // namespace

Evaluations evaluate_report(const ReportData& data, const EvaluationOptions& options, Progress& progress) {
  return Evaluating(data, options, progress).run();
}

}  // namespace retort
