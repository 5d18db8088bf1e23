#include "distill/train/tasks/classification_task.h"

#include <algorithm>
#include <limits>

#include "datasets/device_batch.h"
#include "distill/evaluate/evaluate.h"
#include "distill/settings/data_options.h"
#include "distill/text/text_format.h"
#include "distill/train/step.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

namespace retort {

namespace {

class ClassificationTask : public Task {
 public:
  ClassificationTask(const TaskParts& parts, const Split& split) : parts_(parts) {
    const RunSettings& settings = parts.settings;
    // Room for as many images as a batch can have.
    const int64_t largest = std::min(settings.batch, int64_t(split.train.size()));
    LoaderOptions loading{
        .batch = largest,
        .seed = settings.seed,
        .shuffle = settings.data.shuffle,
        .augment = augment_named(settings.data.augment),
        .views = settings.data.views,
        .workers = settings.data.workers,
        .pixels = !DeviceBatch::renders(parts.device),
        .strong = views_read(settings.method) == 2,
        .normalize = parts.student_sees,
        .other = parts.teacher ? parts.teacher->images_besides(parts.student_sees) : std::nullopt};
    if (parts.world) {
      loading.parts = settings.shards;
      loading.own = parts_of_process(settings.shards, parts.world->size(), parts.world->rank());
      if (parts.teacher && parts.teacher->stored()) parts.teacher->stored()->take_parts(loading.own);
    }
    loader_ = std::make_unique<Loader>(parts.data.train, split.train, loading);
    DeviceBatchOptions drawing{
        .strong = loading.strong, .normalize = loading.normalize, .other = loading.other};
    if (trains_in_16_bits(settings)) drawing.draw_for(parts.device.precision());
    batch_ = std::make_unique<DeviceBatch>(parts.device, parts.data.train, largest, drawing);
    step_ =
        std::make_unique<TrainingStep>(StepParts{.device = parts.device,
                                                 .student = parts.student,
                                                 .distiller = parts.distiller,
                                                 .optimizer = parts.optimizer,
                                                 .average = &parts.average,
                                                 .teacher = parts.teacher ? &parts.teacher->model() : nullptr,
                                                 .renderer = batch_.get(),
                                                 .shards = settings.shards,
                                                 .world = parts.world});
    EvaluateOptions evaluation{.workers = test_workers(settings.data, parts.data.test),
                               .threads = settings.threads,
                               .normalize = parts.student_sees,
                               .world = parts.world};
    test_ = std::make_unique<Evaluator>(parts.student, parts.device, parts.data.test, evaluation);
    if (settings.data.validation == 0) return;
    evaluation.samples = split.validation;
    validation_ = std::make_unique<Evaluator>(parts.student, parts.device, parts.data.train, evaluation);
  }

  int64_t images() const override { return loader_->samples(); }
  int64_t batches() const override { return loader_->batches(); }
  int64_t images_before(int64_t batch) const override {
    return std::min<int64_t>(batch * parts_.settings.batch, images());
  }
  std::string images_text() const override {
    const int64_t all = parts_.data.train.size();
    return text(with_commas(images()), images() < all ? " of " + with_commas(all) : std::string(),
                " training images, ", with_commas(parts_.data.test.size()), " test images");
  }

  // Memory: batches ahead of training and testing, photos that stay decoded, and one photo that each worker
  // decodes: while one loader works the others wait.
  std::string photos_text() const override {
    const ImageSet& set = parts_.data.train;
    if (set.in_memory()) return "";
    const DataSettings& data = parts_.settings.data;
    int64_t batches = loader_->bytes() + test_->loader().bytes();
    if (validation_) batches += validation_->loader().bytes();
    const int64_t largest_file =
        std::max(set.pictures->largest_file(), parts_.data.test.pictures->largest_file());
    const int64_t workers = std::max(data.workers, 1), kept = photo_cache_bytes(data),
                  photo = decoding_bytes(largest_file);
    const auto gib = [](int64_t bytes) {
      return significant(double(bytes) / double(int64_t{1} << 30), 3) + " GiB";
    };
    const std::string how =
        text(set.height, " x ", set.width, " pixels by ", data.augment, ", tests at a shorter side of ",
             set.photo.resize, ", decoder ", data.decoder, "; memory at most ");
    if (largest_file == 0) return text(how, gib(batches), " of batches ahead");  // nothing is decoded
    return text(how, gib(batches + kept + workers * photo), ": ", gib(batches), " of batches ahead, ",
                gib(kept), " of decoded photos (data.cache_gib), ", counted(workers, "worker"), " x ",
                gib(photo), " to decode the largest photo there can be");
  }
  BadPictures bad_pictures() const override { return loader_->bad_pictures(); }

  void begin_epoch(int epoch, int64_t first_batch) override { loader_->begin_epoch(epoch, first_batch); }
  void step() override {
    const HostBatch* const batch = loader_->next();
    check(batch, "training step: the epoch has no more batches");
    StoredTeacher* const stored = parts_.teacher ? parts_.teacher->stored() : nullptr;
    const Tensor teacher_logits = stored ? stored->logits(*batch) : Tensor{};
    step_->run(batch_->upload(*batch), teacher_logits);
  }
  MetricTotals& totals() override { return step_->totals(); }
  const std::vector<std::string>& term_names() const override { return step_->term_names(); }
  const Metrics& metrics() const override { return classification_metrics(); }
  double trained(const MetricTotals::Values& totals, double images) const override {
    return images > 0 ? 100 * totals.top1 / images : std::numeric_limits<double>::quiet_NaN();
  }

  Tested test(const Activity& activity) override {
    const Evaluation e = test_->run(activity);
    return {valued(metrics(), {e.top1, e.top5, e.loss}),
            validation_ ? validation_->run(activity).top1 : e.top1};
  }

 private:
  TaskParts parts_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<DeviceBatch> batch_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<Evaluator> test_, validation_;  // the latter where training images are held out
};

}  // namespace

std::unique_ptr<Task> make_classification_task(const TaskParts& parts, const Split& split) {
  return std::make_unique<ClassificationTask>(parts, split);
}

}  // namespace retort
