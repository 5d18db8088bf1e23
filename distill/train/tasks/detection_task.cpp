#include "distill/train/tasks/detection_task.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "distill/detection/detection_evaluator.h"
#include "distill/detection/detection_step.h"
#include "distill/text/text_format.h"
#include "distill/train/checkpoint.h"
#include "distill/train/shard_rules.h"
#include "distill/train/shards.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

namespace {

Detector& detector_in(Model& model) {
  auto* const detector = dynamic_cast<Detector*>(&model);
  check(detector, model.name, ": is no detector");
  return *detector;
}

class DetectionTask : public Task {
 public:
  explicit DetectionTask(const TaskParts& parts)
      : parts_(parts),
        student_(detector_in(parts.student)),
        loader_(parts.data.boxes->train, training()),
        shards_(shards()),
        step_({.device = parts.device,
               .student = student_,
               .distiller = parts.distiller,
               .optimizer = parts.optimizer,
               .teacher = parts.teacher ? &detector_in(parts.teacher->model()) : nullptr,
               .seed = parts.settings.seed,
               .positives = parts.settings.method_boxes.positives,
               .background = parts.settings.method_boxes.background,
               .shards = shards_.get()}),
        evaluator_(student_, parts.device, parts.data.boxes->test, testing(), parts.world),
        warmup_(warmup_of(parts.settings.method)) {}

  int64_t images() const override { return loader_.samples(); }
  int64_t batches() const override {
    const int64_t steps = parts_.settings.schedule.evaluate_every;
    return steps > 0 ? steps : loader_.batches();
  }
  int64_t images_before(int64_t batch) const override {
    const int64_t first = steps_before_epoch();
    return images_of_steps(first + batch) - images_of_steps(first);
  }
  std::string images_text() const override {
    const auto pictures = [](int64_t count, const char* which) {
      return text(with_commas(count), which, count == 1 ? " picture" : " pictures");
    };
    return pictures(images(), " training") + " with boxes, " +
           pictures(parts_.data.boxes->test.size(), " test");
  }

  void begin_epoch(int epoch, int64_t first_batch) override {
    epoch_ = epoch;
    steps_ = steps_before_epoch() + first_batch;
    begin_pass();
  }
  void step() override {
    const HostDetections* batch = loader_.next();
    if (!batch) {
      begin_pass();
      batch = loader_.next();
    }
    ++steps_;
    step_.run(*batch, pass_, warmup_ > 0 ? std::min(double(steps_) / warmup_, 1.0) : 1);
    parts_.average.step();
  }
  MetricTotals& totals() override { return step_.totals(); }
  const std::vector<std::string>& term_names() const override { return step_.term_names(); }
  const Metrics& metrics() const override { return detection_metrics(); }
  double trained(const MetricTotals::Values&, double) const override {
    return std::numeric_limits<double>::quiet_NaN();
  }

  Tested test(const Activity& activity) override {
    const CocoScores scores = evaluator_.scores(evaluator_.detect(activity));
    const auto percent = [](double fraction) { return fraction < 0 ? fraction : 100 * fraction; };
    const double undefined = std::numeric_limits<double>::quiet_NaN();
    return {valued(metrics(), {percent(scores.ap), percent(scores.ap50), percent(scores.ap75)}),
            scores.ap < 0 ? undefined : percent(scores.ap)};
  }

 private:
  int64_t steps_before_epoch() const { return (epoch_ - 1) * batches(); }
  int64_t images_of_steps(int64_t steps) const {
    const int64_t pass = loader_.batches();
    return steps / pass * loader_.samples() + loader_.samples_before(steps % pass);
  }
  // Over the pictures. What the run calls an epoch need not be one: see ScheduleSettings::evaluate_every.
  void begin_pass() {
    pass_ = int(steps_ / loader_.batches()) + 1;
    loader_.begin_epoch(pass_, steps_ % loader_.batches());
  }
  // Steps over which the method's terms rise.
  static double warmup_of(const MethodSettings& method) {
    return method.has("warmup") ? method.number("warmup") : 0;
  }
  std::unique_ptr<Shards> shards() const {
    const int count = parts_.settings.shards;
    check_shards(parts_.settings, images(), parts_.world ? parts_.world->size() : 1);
    if (count <= 1) return nullptr;
    const Shards::Learner learner{parts_.optimizer, {&parts_.student, &parts_.distiller}};
    return std::make_unique<Shards>(parts_.device, learner, count, parts_.world);
  }
  DetectionLoaderOptions training() const {
    DetectionLoaderOptions options =
        pictures_for(student_.spec(), parts_.settings.data.size, parts_.student_sees, true);
    options.batch = parts_.settings.batch;
    options.seed = parts_.settings.seed;
    options.shuffle = parts_.settings.data.shuffle;
    options.flip = parts_.settings.data.augment != "none";
    options.workers = parts_.settings.data.workers;
    options.limit = parts_.settings.data.limit;
    if (parts_.world) {
      options.parts = parts_.settings.shards;
      options.own = parts_of_process(options.parts, parts_.world->size(), parts_.world->rank());
    }
    if (parts_.teacher && !(parts_.teacher->sees() == parts_.student_sees))
      options.other = parts_.teacher->sees();
    return options;
  }
  DetectionLoaderOptions testing() const {
    DetectionLoaderOptions options =
        pictures_for(student_.spec(), parts_.settings.data.size, parts_.student_sees, false);
    options.workers = parts_.settings.data.workers;
    return options;
  }

  TaskParts parts_;
  Detector& student_;
  DetectionLoader loader_;
  std::unique_ptr<Shards> shards_;  // null where a batch is computed whole
  DetectionStep step_;
  DetectionEvaluator evaluator_;
  const double warmup_;
  int epoch_ = 1, pass_ = 1;
  int64_t steps_ = 0;  // of the run that are done
};

const std::vector<std::string>& methods_of_detectors() {
  static const std::vector<std::string> names = {"ce", "kd", "dkd", "dist", "nkd", "rld", "ctkd", "reviewkd"};
  return names;
}

}  // namespace

bool distils_detectors(const MethodInfo& method) {
  const std::vector<std::string>& names = methods_of_detectors();
  return method.name.starts_with("pcd") || std::find(names.begin(), names.end(), method.name) != names.end();
}

void check_boxes(const RunSettings& settings, const DataSet& data) {
  const bool detector = is_detector(settings.model);
  check(detector == bool(data.boxes), Fault::usage, settings.model,
        detector ? " finds boxes, but " : " classifies images, but ", settings.data.spec,
        detector ? " has none; scenes and coco:DIR have"
                 : " is a set of boxes for detectors, such as rcnn_tiny");
  if (!detector) return;
  const MethodInfo& method = settings.method.method();
  const MethodInfo::Reads& reads = method.reads;
  const char* why = reads.features           ? "it reads a classifier's features"
                    : reads.indices          ? "it reads which image each sample is"
                    : reads.two_views        ? "it reads two views of an image"
                    : reads.class_similarity ? "it compares the classes of whole images"
                                             : "it has not been tried on boxes";
  check(distils_detectors(method), Fault::usage, "method ", method.name, " cannot distil detectors: ", why,
        "; ", join(methods_of_detectors()), " and the forms of pcd can");
  check(!reads.features || (settings.method_boxes.background && !settings.method_boxes.positives),
        Fault::usage, "method ", method.name,
        " compares feature pyramids, not boxes: boxes.positives and boxes.background are not for it");
  check(settings.method_boxes.background || settings.method_boxes.positives || !reads.labels, Fault::usage,
        "method ", method.name,
        " reads labels, and background is the label of most boxes; without it as a class "
        "(boxes.background) only the boxes of objects can be compared (boxes.positives)");
  check(settings.optimizer.kind == "sgd", Fault::usage, "optimizer.kind is ", settings.optimizer.kind,
        ", which parts a classifier's gradient in two; detectors learn with sgd");
  check(settings.loss.label_smoothing == 0, Fault::usage, "loss.label_smoothing is ",
        exact_decimal(settings.loss.label_smoothing),
        ": detectors learn from labels as they are; leave it at 0");
  check(settings.precision != "fp16" && settings.precision != "bf16", Fault::usage, "precision is ",
        settings.precision, ": detectors are trained in fp32 or tf32");
  check(settings.data.validation == 0, Fault::usage, "data.validation is ", settings.data.validation,
        ": detectors are chosen by the test pictures; leave it at 0");
}

std::unique_ptr<Task> make_detection_task(const TaskParts& parts) {
  return std::make_unique<DetectionTask>(parts);
}

}  // namespace retort
