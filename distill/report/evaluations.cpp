#include "distill/report/evaluations.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "datasets/device_batch.h"
#include "datasets/loader.h"
#include "datasets/open.h"
#include "distill/evaluate/seen_by.h"
#include "distill/report/pcd_steps.h"
#include "distill/run/named_weights.h"
#include "distill/settings/data_options.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/places.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "engine/step_graph.h"
#include "models/detection/detector.h"

namespace retort {

namespace {

// Weights as a run or a pair names them, and what is known of them where their file does not say.
struct Network {
  std::string spec, model = {}, mean = {}, deviation = {};
  auto operator<=>(const Network&) const = default;
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
  Evaluating(const Results& data, const EvaluationOptions& options, Progress& progress)
      : data_(data), options_(options), progress_(progress), cache_(options.cache) {}

  Evaluations run() {
    for (const ResultPair& pair : data_.pairs) evaluate(pair);
    cache_.write();
    result_.notes.insert(result_.notes.end(), cache_.notes().begin(), cache_.notes().end());
    return std::move(result_);
  }

 private:
  // Of the pair at work: its data in the keys of the cache.
  std::string data_key() const {
    const std::string named = pair_->is_synthetic() ? pair_->data : kind_of_data(pair_->data);
    return (pair_->data_hash.empty() ? named : pair_->data_hash) + options_.read_as();
  }

  // The test images of the pair; never two sets in memory.
  const ImageSet& images() {
    const RunSettings settings = settings_to_read(*pair_, options_);
    const std::string& spec = settings.data.spec;
    DataOptions options = data_options(settings);
    options.parts = Parts::test;
    options.random_crops = false;
    options.cache_bytes = 0;  // each is read once
    options.threads = options_.threads;
    const DataOptions deciding = deciding_options(spec, options);
    if (!images_ || spec_ != spec || !(reading_ == deciding)) {
      images_.reset();
      logits_.clear();
      images_ = std::make_unique<ImageSet>(open_dataset(spec, options).test);
      spec_ = spec;
      reading_ = deciding;
      cache_.put_names("classes " + data_key(), images_->class_names);
    }
    check(names_.empty() || int(names_.size()) == images_->classes, Fault::input, options_.cache.string(),
          ": names ", names_.size(), " classes, the images have ", images_->classes,
          "; it is made anew, try again");
    return *images_;
  }

  const std::vector<std::string>& names() {
    if (names_.empty() && !cache_.find_names("classes " + data_key(), names_)) names_ = images().class_names;
    return names_;
  }

  Device& device() {
    if (!device_) device_ = Device::open({.name = "auto", .threads = options_.threads});
    return *device_;
  }

  // Kept: the images to show are chosen with logits that the tables were made of.
  const std::vector<float>& computed(const Network& network) {
    const ImageSet& set = images();
    const auto [at, is_new] = logits_.try_emplace(network);
    if (!is_new && !at->second.empty()) return at->second;
    const Weights weights = weights_of(network);
    const std::unique_ptr<Model> model = load_model(weights, network.model, device(), images().height);
    check(model->classes == set.classes, Fault::input, network.spec, ": has ", model->classes,
          " classes, the images have ", set.classes);
    progress_.note("evaluating " + network.spec);
    std::vector<float> logits = logits_of(*model, device(), set, seen_by(weights, set));
    check(std::all_of(logits.begin(), logits.end(), [](float z) { return std::isfinite(z); }), Fault::input,
          network.spec, ": its logits are not finite");
    return at->second = std::move(logits);
  }

  Weights weights_of(const Network& network) const {
    Weights weights = read_weights(network.spec);
    if (!network.mean.empty())
      set_channel_numbers(weights, network.mean, network.deviation);
    else if (!weights.metadata("mean"))
      set_channel_numbers(weights, options_.mean, options_.deviation);
    return weights;
  }

  // The pair's teacher, with what its students' runs say of it.
  Network teacher() const {
    const RunSettings* run = pair_->taught();
    if (!run) return {.spec = pair_->teacher_weights};
    return {.spec = pair_->teacher_weights,
            .model = run->teacher_model,
            .mean = run->teacher_mean,
            .deviation = run->teacher_std};
  }

  // The run's last weights, from the cache if they are those.
  ClassAccuracy student(const ResultRun& run) {
    const std::string key = "student " + data_key() + " " + run.summary.weights_hash;
    ClassAccuracy accuracy;
    const bool cached =
        !run.summary.weights_hash.empty() && cache_.find_accuracy(key, names().size(), accuracy);
    if (cached && fits(accuracy, run)) return accuracy;
    const std::vector<float>& logits = computed({.spec = run.folder.string()});
    const ImageSet& set = images();
    const size_t classes = size_t(set.classes);
    accuracy = {std::vector<int64_t>(classes), std::vector<int64_t>(classes)};
    for (size_t i = 0; i < set.labels.size(); ++i) {
      const auto label = size_t(set.labels[i]);
      ++accuracy.images[label];
      accuracy.correct[label] += is_right(logits.data() + i * classes, classes, set.labels[i]);
    }
    check(fits(accuracy, run), Fault::input, run.folder.string(), ": its last weights have ",
          fixed(accuracy.top1(), 2), " % on ", spec_, ", its summary says ",
          fixed(run.summary.last->value("top1"), 2),
          " %: other images, or an edited record; its classes are not shown");
    if (cached)
      result_.notes.push_back(options_.cache.string() +
                              ": an entry was not what the run says; computed again");
    cache_.put_accuracy(key, accuracy);
    return accuracy;
  }

  Judgement judgement(const Network& network, const std::string& hash) {
    const std::string key = "judged " + data_key() + " " + hash;
    Judgement judged;
    if (!hash.empty() && cache_.find_judgement(key, names().size(), judged)) return judged;
    judged = judge(computed(network), images().labels, size_t(images().classes));
    cache_.put_judgement(key, judged);
    return judged;
  }

  // Devices differ in last bits, and so in an image here and there.
  static bool fits(const ClassAccuracy& accuracy, const ResultRun& run) {
    const auto images = std::accumulate(accuracy.images.begin(), accuracy.images.end(), int64_t{0});
    if (images == 0 || !run.summary.last) return false;
    return std::abs(accuracy.top1() - run.summary.last->value("top1")) <= 0.5 + 200.0 / double(images);
  }

  std::vector<double> confidence() {
    const std::string key = "confidence " + data_key() + " " + teacher_hash();
    std::vector<double> sums;
    if (cache_.find_confidence(key, names().size(), sums)) return sums;
    const std::vector<float>& logits = computed(teacher());
    const ImageSet& set = images();
    const size_t classes = size_t(set.classes);
    std::vector<double> counts(classes);
    sums.assign(classes, 0);
    for (size_t i = 0; i < set.labels.size(); ++i) {
      const auto label = size_t(set.labels[i]);
      sums[label] += probability(logits.data() + i * classes, classes, label);
      ++counts[label];
    }
    for (size_t c = 0; c < classes; ++c) sums[c] /= counts[c];  // NaN where the test images have none
    cache_.put_numbers(key, sums);
    return sums;
  }

  // Of all that decides its answers.
  std::string teacher_hash() const {
    const Weights weights = weights_of(teacher());
    const std::string *mean = weights.metadata("mean"), *deviation = weights.metadata("std");
    return weights_hash(weights.file) + (mean ? " " + *mean : "") + (deviation ? " " + *deviation : "");
  }

  void evaluate(const ResultPair& pair) {
    pair_ = &pair;
    names_.clear();
    PairEvaluation evaluation;
    if (is_detector(pair.student)) {  // see detector_evaluations
      for (const ResultRow& row : pair.rows) evaluation.students.emplace_back(row.runs.size());
      result_.pairs.push_back(std::move(evaluation));
      return;
    }
    if (pair.classes)
      evaluation.class_names = pair.classes->names, evaluation.confidence = pair.classes->confidence;
    for (const ResultRow& row : pair.rows) {
      std::vector<ClassAccuracy> accuracies;
      std::vector<Judgement> judgements;
      for (const ResultRun& run : row.runs) {
        accuracies.push_back({});
        judgements.push_back({});
        if (!run.counts() || run.folder.empty()) continue;
        attempt([&] {
          accuracies.back() = student(run);
          judgements.back() = judgement({.spec = run.folder.string()}, run.summary.weights_hash);
        });
      }
      evaluation.students.push_back(std::move(accuracies));
      evaluation.judged.push_back(std::move(judgements));
    }
    if (!pair.teacher_weights.empty()) {
      attempt([&] { evaluation.confidence = confidence(); });
      attempt([&] { evaluation.teacher_judged = judgement(teacher(), teacher_hash()); });
      attempt([&] { choose(pair, evaluation); });
    }
    if (!names_.empty()) evaluation.class_names = names_;
    result_.pairs.push_back(std::move(evaluation));
  }

  // Once the images or a file are missing, each further try would say the same.
  template <class Work>
  void attempt(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      const std::string note = error.what();
      if (std::find(result_.notes.begin(), result_.notes.end(), note) == result_.notes.end())
        result_.notes.push_back(note);
    }
  }

  static const ResultRun* first_finished(const ResultRow& row) {
    for (const ResultRun& run : row.runs) {
      if (run.counts() && !run.folder.empty()) return &run;
    }
    return nullptr;
  }

  // Three images on which the first seed of PCD can be seen at work.
  void choose(const ResultPair& pair, PairEvaluation& evaluation) {
    const ResultRun* run = nullptr;
    for (size_t r = 0; r < pair.rows.size() && !run; ++r) {
      if (pair.rows[r].method != "pcd" || !pair.rows[r].settings) continue;
      run = first_finished(pair.rows[r]);
      evaluation.chosen_row = r;
    }
    if (!run) return;
    evaluation.chosen_seed = run->seed;
    const MethodSettings& method = pair.rows[evaluation.chosen_row].settings->method;
    const ResultRow* kd = pair.plain_kd();
    const ResultRun* other = kd ? first_finished(*kd) : nullptr;
    const std::string key = "chosen " + data_key() + " " + run->summary.weights_hash + " " + teacher_hash() +
                            " " + (other ? other->summary.weights_hash : "");
    int64_t count = 0;
    for (const auto& accuracies : evaluation.students) {
      for (const ClassAccuracy& a : accuracies)
        count = std::max(count, std::accumulate(a.images.begin(), a.images.end(), int64_t{0}));
    }
    std::vector<ChosenImage> chosen;
    if (!cache_.find_chosen(key, names().size(), count, chosen)) {
      chosen = chosen_images(method, computed(teacher()), computed({.spec = run->folder.string()}),
                             other ? computed({.spec = other->folder.string()}) : std::vector<float>());
      cache_.put_chosen(key, chosen);
    }
    for (ChosenImage& image : chosen) {
      pcd_steps(method, image.teacher, image.student);  // the page shows them
      if (options_.pictures || pair.is_synthetic()) {
        const ImageSet& set = images();
        check(image.index < set.size() && set.channels == 3 && set.width == set.height, Fault::input,
              options_.cache.string(), ": shows image ", image.index, " of ", set.size());
        image.side = set.width;
        image.pixels.resize(size_t(set.image_bytes()));
        PictureReader reader(set.decoder);
        set.read(image.index, reader, image.pixels.data());
      }
      evaluation.chosen.push_back(std::move(image));
    }
  }

  std::vector<ChosenImage> chosen_images(const MethodSettings& method, const std::vector<float>& teacher,
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

    std::vector<ChosenImage> all;
    std::vector<size_t> taken;
    const auto add = [&](size_t i, const std::string& reason) {
      if (std::find(taken.begin(), taken.end(), i) != taken.end()) return;
      taken.push_back(i);
      all.push_back({.reason = reason,
                     .index = int64_t(i),
                     .label = set.labels[i],
                     .teacher = row_of(teacher, i),
                     .student = row_of(student, i),
                     .pixels = {}});
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

  const Results& data_;
  const EvaluationOptions& options_;
  Progress& progress_;
  EvaluationCache cache_;
  Evaluations result_;
  const ResultPair* pair_ = nullptr;  // at work
  std::vector<std::string> names_;    // of its classes
  std::string spec_;                  // of images_
  DataOptions reading_;               // how
  std::unique_ptr<ImageSet> images_;
  std::map<Network, std::vector<float>> logits_;  // on them
  std::unique_ptr<Device> device_;
};

}  // namespace

std::string EvaluationOptions::read_as() const {
  std::string all;
  for (const auto& [key, value] : data_keys) all += " " + key + "=" + value;
  return all;
}

RunSettings settings_to_read(const ResultPair& pair, const EvaluationOptions& options) {
  RunSettings now;
  now.model = pair.student;
  for (const ResultRow& row : pair.rows)
    if (row.settings) now = *row.settings;
  now.data.spec = pair.data;
  if (!options.data.empty() && kind_of_data(options.data) == kind_of_data(pair.data)) {
    if (const std::string labels = labels_elsewhere(options.data, now.data); !labels.empty())
      now.data.val_labels = labels;
    now.data.spec = data_elsewhere(options.data, pair.data);
  }
  set_data_keys(now, options.data_keys);
  return now;
}

Evaluations evaluate_report(const Results& data, const EvaluationOptions& options, Progress& progress) {
  return Evaluating(data, options, progress).run();
}

}  // namespace retort
