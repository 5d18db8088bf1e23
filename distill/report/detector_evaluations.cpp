#include "distill/report/detector_evaluations.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "datasets/open.h"
#include "distill/detection/detection_evaluator.h"
#include "distill/detection/detection_step.h"
#include "distill/detection/losses.h"
#include "distill/evaluate/seen_by.h"
#include "distill/methods/loss_probe.h"
#include "distill/run/named_weights.h"
#include "distill/settings/data_options.h"
#include "distill/study/places.h"
#include "engine/base/check.h"
#include "engine/random_words.h"
#include "models/detection/targets.h"

namespace retort {

namespace {

constexpr size_t shown_pictures = 3;
constexpr int64_t pushed_pictures = 32;
constexpr double least_score = 0.3;
constexpr size_t most_boxes = 12;  // of a network on a picture

struct Loaded {
  std::unique_ptr<Model> model;
  Normalize sees;

  Detector& detector() const { return dynamic_cast<Detector&>(*model); }
};

class Evaluating {
 public:
  Evaluating(const Results& data, const EvaluationOptions& options, Progress& progress)
      : data_(data), options_(options), progress_(progress), cache_(options.cache) {}

  DetectorEvaluations run() {
    for (const ResultPair& pair : data_.pairs) {
      result_.pairs.push_back({});
      if (is_detector(pair.student)) evaluate(pair, result_.pairs.back());
    }
    cache_.write();
    result_.notes.insert(result_.notes.end(), cache_.notes().begin(), cache_.notes().end());
    return std::move(result_);
  }

 private:
  const DetectionPart& part() const { return set_.boxes->test; }

  void open(const ResultPair& pair) {
    const RunSettings settings = settings_to_read(pair, options_);
    settings_ = settings.data;
    DataOptions reading = data_options(settings);
    reading.parts = Parts::test;
    reading.threads = options_.threads;
    set_ = open_dataset(settings.data.spec, reading);
    check(bool(set_.boxes), Fault::input, pair.data, ": holds no boxes, and ", pair.student, " finds some");
    number_of_.clear();
    for (const CocoCategory& category : set_.boxes->categories)
      number_of_.emplace(category.id, int32_t(number_of_.size()));
  }

  Loaded load(const std::string& spec, const std::string& model, const std::string& mean,
              const std::string& deviation) {
    Weights weights = read_weights(spec);
    if (!mean.empty())
      set_channel_numbers(weights, mean, deviation);
    else if (!weights.metadata("mean"))
      set_channel_numbers(weights, options_.mean, options_.deviation);
    if (!device_) device_ = Device::open({.name = "auto", .threads = options_.threads});
    Loaded loaded{load_model(weights, model, *device_), seen_by(weights, set_.test)};
    check(dynamic_cast<Detector*>(loaded.model.get()), Fault::input, spec, ": is no detector");
    return loaded;
  }

  DetectionLoaderOptions looking(const Loaded& network, bool training) const {
    DetectionLoaderOptions options =
        pictures_for(network.detector().spec(), settings_.size, network.sees, false);
    options.training = training;
    options.shuffle = options.flip = false;
    return options;
  }

  std::vector<CocoDetection> found(const Loaded& network, const std::string& name) {
    DetectionEvaluator evaluator(network.detector(), *device_, part(), looking(network, false));
    const auto detections = evaluator.detect(
        [&](int64_t done, int64_t total) { progress_.activity("evaluating " + name, done, total); });
    progress_.clear();
    return detections;
  }

  // Average precision by class; from the cache unless what is found is wanted too.
  std::vector<double> precision(const ResultPair& pair, const std::string& hash, const std::string& name,
                                const std::vector<CocoDetection>& detections) {
    std::vector<double> classes;
    for (const CocoScores::Class& one : coco_scores(part().annotations, detections).classes)
      classes.push_back(one.ap);
    check(classes.size() == number_of_.size(), Fault::input, name, ": is scored on ", classes.size(),
          " classes of ", number_of_.size());
    if (!hash.empty()) cache_.put_numbers(key(pair, hash), classes);
    return classes;
  }

  std::string key(const ResultPair& pair, const std::string& hash) const {
    return "boxes " + (pair.data_hash.empty() ? pair.data : pair.data_hash) + options_.read_as() + " " + hash;
  }

  void evaluate(const ResultPair& pair, PairBoxes& result) {
    if (!attempt([&] { open(pair); })) return;
    for (const CocoCategory& category : set_.boxes->categories) result.class_names.push_back(category.name);
    choose_pictures(pair, result);
    Loaded teacher;
    if (!pair.teacher_weights.empty()) {
      attempt([&] {
        const RunSettings* run = pair.taught();
        Loaded loaded =
            run ? load(pair.teacher_weights, run->teacher_model, run->teacher_mean, run->teacher_std)
                : load(pair.teacher_weights, "", "", "");
        const std::string name = "teacher " + pair.teacher;
        const std::vector<CocoDetection> detections = found(loaded, name);
        result.teacher = precision(pair, "", name, detections);
        show(result, name, -1, detections);
        teacher = std::move(loaded);
      });
    }
    for (size_t r = 0; r < pair.rows.size(); ++r) {
      const ResultRow& row = pair.rows[r];
      result.students.push_back({});
      bool shown = false;
      for (const ResultRun& run : row.runs) {
        result.students.back().push_back({});
        if (!run.counts() || run.folder.empty()) continue;
        std::vector<double>& own = result.students.back().back();
        const bool known =
            cache_.find_numbers(key(pair, run.summary.weights_hash), number_of_.size(), -1, 1, own);
        if (known && shown) continue;
        attempt([&] {
          const std::string name = text(row.label, ", seed ", run.seed);
          const Loaded student = load(run.folder.string(), "", "", "");
          const std::vector<CocoDetection> detections = found(student, name);
          if (!known) own = precision(pair, run.summary.weights_hash, name, detections);
          if (shown) return;
          shown = true;
          show(result, name, int(r), detections);
          if (teacher.model && row.reads_teacher() && row.settings)
            add_push(result, r, run.seed, row, student, teacher);
        });
      }
    }
  }

  // By their numbers, not by what is found on them.
  void choose_pictures(const ResultPair& pair, PairBoxes& result) {
    std::map<int64_t, std::vector<ShownBox>> truth;
    for (const CocoAnnotation& a : part().annotations.annotations)
      truth[a.image].push_back({a.box, number_of_.at(a.category), 1, !a.crowd});
    std::vector<int64_t> with_boxes;
    for (int64_t i = 0; i < part().size(); ++i) {
      if (truth.contains(part().annotations.images[size_t(i)].id)) with_boxes.push_back(i);
    }
    const size_t count = std::min(shown_pictures, with_boxes.size());
    for (size_t k = 0; k < count; ++k) {
      // Among the first, which the pushes are measured on.
      const size_t among = std::min(with_boxes.size(), size_t(pushed_pictures));
      const int64_t number = with_boxes[among * k / count];
      const CocoImage& image = part().annotations.images[size_t(number)];
      TestPicture picture{image.id, image.width, image.height, {}, {}};
      if (options_.pictures || pair.data.starts_with("scenes")) picture.pixels = part().picture(number);
      picture.seen.push_back({"what is there", -1, truth[image.id]});
      result.pictures.push_back(std::move(picture));
    }
  }

  void show(PairBoxes& result, const std::string& label, int row,
            const std::vector<CocoDetection>& detections) const {
    for (TestPicture& picture : result.pictures) {
      SeenPicture seen{label, row, {}};
      for (const CocoDetection& d : detections) {
        if (d.image == picture.id && d.score >= least_score && seen.boxes.size() < most_boxes)
          seen.boxes.push_back({d.box, number_of_.at(d.category), d.score, true});
      }
      picture.seen.push_back(std::move(seen));
    }
  }

  // The same boxes through both heads, as in a step of training.
  void add_push(PairBoxes& result, size_t r, uint64_t seed, const ResultRow& row, const Loaded& student,
                const Loaded& teacher) {
    Push push{.row = r, .seed = seed, .boxes = {}};
    DetectionLoaderOptions options = looking(student, true);
    options.limit = pushed_pictures;
    options.other = teacher.sees;
    fold_batch_norms(*teacher.model, *device_);
    DetectionLoader loader(part(), options);
    loader.begin_epoch(0);
    while (const HostDetections* batch = loader.next()) {
      if (!push_on(*batch, seed, *row.settings, student.detector(), teacher.detector(), result, push)) return;
    }
    if (push.pictures == 0) return;  // none has a box to learn from
    double hardest = 1e-300;
    for (const auto& [id, boxes] : push.boxes)
      for (const ShownBox& box : boxes) hardest = std::max(hardest, box.weight);
    for (auto& [id, boxes] : push.boxes)
      for (ShownBox& box : boxes) box.weight /= hardest;
    result.pushes.push_back(std::move(push));
  }

  // Of the student and the teacher, on the host.
  std::pair<std::vector<float>, std::vector<float>> both_logits(const HostDetections& batch,
                                                                const RoiBatch& rois,
                                                                const std::vector<Var>& pyramid,
                                                                Detector& student, Detector& teacher,
                                                                const Pass& pass) {
    const Var seen =
        upload_numbers(pass, {batch.size(), batch.height, batch.width, 3}, DType::f32, batch.other_images);
    const auto on_host = [&](const Var& logits) {
      std::vector<float> numbers(size_t(logits.tensor().size()));
      device_->backend().download(numbers.data(), logits);
      return numbers;
    };
    return {on_host(student.judge(pyramid, rois.rois, pass).logits),
            on_host(teacher.judge(teacher.pyramid(seen, pass), rois.rois, pass).logits)};
  }

  // False for a method that compares no boxes, and for one that learns something itself, which is not kept:
  // its push is not known any more.
  bool push_on(const HostDetections& batch, uint64_t seed, const RunSettings& settings, Detector& student,
               Detector& teacher, const PairBoxes& result, Push& push) {
    if (settings.method.method().reads.features) return false;
    device_->step_arena().rewind();
    const Pass pass{*device_};
    const DetectorSpec& spec = student.spec();
    const Shape shape{batch.size(), batch.height, batch.width, 3};
    std::vector<Var> pyramid = student.pyramid(upload_numbers(pass, shape, DType::f32, batch.images), pass);
    const auto proposals = proposals_of(spec, student.propose(pyramid, pass),
                                        make_anchors(spec, batch.height, batch.width), batch, true, *device_);
    const auto background = int32_t(student.classes);
    RoiBatch rois;
    for (size_t n = 0; n < batch.samples.size(); ++n)
      rois.add(int32_t(n), roi_targets(spec, proposals[n], true_boxes(batch.samples[n]), background,
                                       {seed, box_purpose::roi_sample, 0, uint32_t(batch.samples[n].image)}));
    const auto [student_logits, teacher_logits] = both_logits(batch, rois, pyramid, student, teacher, pass);
    pyramid.clear();  // what follows begins a step of its own
    const auto all = size_t(background) + 1, kept = settings.method_boxes.background ? all : all - 1;
    ProbeInput input{.classes = int64_t(kept), .student = {}, .teacher = {}, .arithmetic = DType::f32};
    std::vector<size_t> of_row;
    for (size_t i = 0; i < rois.classes.size(); ++i) {
      if (settings.method_boxes.positives && rois.classes[i] >= background) continue;
      of_row.push_back(i);
      for (size_t c = 0; c < kept; ++c) {
        input.student.push_back(student_logits[i * all + c]);
        input.teacher.push_back(teacher_logits[i * all + c]);
      }
      if (settings.method.method().reads.labels) input.labels.push_back(rois.classes[i]);
    }
    input.samples = int64_t(of_row.size());
    push.pictures += batch.size();
    std::vector<double> weights(rois.classes.size());
    if (input.samples > 0) {
      const ProbeResult probed = probe_loss(settings.method, *device_, input);
      if (!probed.learned.empty()) return false;
      for (size_t k = 0; k < of_row.size(); ++k)
        for (size_t c = 0; c < kept; ++c) weights[of_row[k]] += std::abs(probed.gradient[k * kept + c]);
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      const bool object = rois.classes[i] < background;
      ++(object ? push.objects : push.background);
      (object ? push.on_objects : push.on_background) += weights[i];
      const DetectionSample& sample = batch.samples[size_t(rois.rois.images[i])];
      const int64_t id = part().annotations.images[size_t(sample.image)].id;
      const bool shown = std::any_of(result.pictures.begin(), result.pictures.end(),
                                     [&](const TestPicture& picture) { return picture.id == id; });
      if (!shown) continue;
      if (push.boxes.empty() || push.boxes.back().first != id) push.boxes.push_back({id, {}});
      const double across = double(sample.original_width) / sample.width,
                   down = double(sample.original_height) / sample.height;
      const BoundingBox& b = rois.rois.boxes[i];
      push.boxes.back().second.push_back(
          {{b.x1 * across, b.y1 * down, (b.x2 - b.x1) * across, (b.y2 - b.y1) * down},
           object ? rois.classes[i] : -1,
           weights[i],
           object});
    }
    return true;
  }

  template <class Work>
  bool attempt(Work&& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      const std::string note = error.what();
      if (std::find(result_.notes.begin(), result_.notes.end(), note) == result_.notes.end())
        result_.notes.push_back(note);
      return false;
    }
  }

  const Results& data_;
  const EvaluationOptions& options_;
  Progress& progress_;
  EvaluationCache cache_;
  DetectorEvaluations result_;
  DataSet set_;  // of the pair at work
  DataSettings settings_;
  std::map<int64_t, int32_t> number_of_;  // of a category
  std::unique_ptr<Device> device_;
};

}  // namespace

std::vector<double> PairBoxes::mean_of_row(size_t row) const {
  std::vector<double> sums;
  double runs = 0;
  for (const std::vector<double>& run : students[row]) {
    if (run.empty()) continue;
    sums.resize(run.size());
    for (size_t c = 0; c < run.size(); ++c) sums[c] += run[c];
    ++runs;
  }
  for (double& sum : sums) sum /= runs;
  return sums;
}

DetectorEvaluations evaluate_detectors(const Results& data, const EvaluationOptions& options,
                                       Progress& progress) {
  return Evaluating(data, options, progress).run();
}

}  // namespace retort
