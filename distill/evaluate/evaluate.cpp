#include "distill/evaluate/evaluate.h"

#include <algorithm>
#include <cmath>

namespace retort {

namespace {

Loader loader_of(const ImageSet& images, const EvaluateOptions& options, Device& device) {
  LoaderOptions loading = LoaderOptions::evaluation(options.batch, options.workers);
  loading.pixels = !DeviceBatch::renders(device);
  loading.normalize = options.normalize;
  return options.samples.empty() ? Loader(images, loading) : Loader(images, options.samples, loading);
}

}  // namespace

Evaluator::Evaluator(Model& model, Device& device, const ImageSet& images, EvaluateOptions options)
    : model_(model),
      device_(device),
      images_(images),
      options_(std::move(options)),
      loader_(loader_of(images, options_, device)),
      batch_(device, images, options_.batch, {.normalize = options_.normalize}),
      totals_(device),
      graph_(device),
      forward_(model, device, images_per_slice(model, device, options_.threads)),
      broken_(device.persistent({1}, DType::f64, 0)) {
  check(images.classes <= model.classes, Fault::input, "evaluate: the images have ", images.classes,
        " classes, ", model.name, " tells ", model.classes, " apart");
  check(images.height == model.side && images.width == model.side, Fault::input, "evaluate: the images are ",
        images.width, "x", images.height, ", ", model.name, " expects ", model.side, "x", model.side);
  check(loader_.samples() > 0, Fault::input, "evaluate: there are no images");
  if (options_.per_class) logits_ = device.persistent({options_.batch, model.classes}, DType::f32);
}

Evaluation Evaluator::run(const std::function<void(int64_t done, int64_t total)>& progress) {
  fold_batch_norms(model_, device_);
  totals_.clear();
  write_values(device_, broken_, {0});
  Evaluation result;
  if (options_.per_class) result.per_class.resize(size_t(images_.classes));
  loader_.begin_epoch(0);
  int64_t batches = 0;
  while (const HostBatch* host = loader_.next()) {
    const Batch batch = batch_.upload(*host);
    const Tensor kept{logits_.tensor.data, {batch.size(), model_.classes}, DType::f32};
    graph_.run(batch.size(), [&] {
      const Pass pass{device_};
      batch_.render(batch);
      const Var logits = forward_(Var(batch.images));
      device_.backend().add_to_total(logits, 0, broken_);  // 0 times NaN or infinity is NaN
      totals_.add(cross_entropy(pass, logits, batch.labels), {}, logits, batch.labels, pass);
      if (options_.per_class) device_.backend().copy(logits, kept);
    });
    if (options_.per_class) {
      const std::vector<double> values = read_values(device_, kept);
      for (int64_t i = 0; i < batch.size(); ++i) {
        const auto row = values.begin() + i * model_.classes;
        auto& own = result.per_class[size_t(host->labels[i])];
        ++own.images;
        own.correct += std::max_element(row, row + model_.classes) - row == host->labels[i];
      }
    }
    if (progress) progress(++batches, loader_.batches());
  }
  device_.step_arena().rewind();
  const MetricTotals::Values sums = totals_.read();
  result.n = loader_.samples();
  const double n = double(result.n);
  result.top1 = 100 * sums.top1 / n;
  result.top5 = 100 * sums.top5 / n;
  result.loss = sums.loss / n;
  check(std::isfinite(result.loss) && std::isfinite(read_values(device_, broken_)[0]), Fault::diverged,
        "evaluate: on ", result.n, " images the loss of ", model_.name, " is ",
        std::isnan(result.loss) ? std::abs(result.loss) : result.loss,
        ", or a logit is not finite: the network's numbers overflow, its accuracy says nothing");
  return result;
}

}  // namespace retort
