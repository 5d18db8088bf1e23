#include "distill/evaluate/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace retort {

namespace {

int64_t images_of(const ImageSet& images, const EvaluateOptions& options) {
  return options.samples.empty() ? images.size() : int64_t(options.samples.size());
}

// The images of the batches that are this process's, which stay the batches that they are: only the last of
// all is not full, and it is its owner's last. All, if there are none: they are not asked for.
std::vector<int32_t> own_samples(const ImageSet& images, const EvaluateOptions& options) {
  std::vector<int32_t> samples = options.samples;
  if (!options.world) return samples;
  if (samples.empty())
    for (int64_t i = 0; i < images.size(); ++i) samples.push_back(int32_t(i));
  std::vector<int32_t> own;
  for (size_t i = 0; i < samples.size(); ++i)
    if (int64_t(i) / options.batch % options.world->size() == options.world->rank())
      own.push_back(samples[i]);
  return own.empty() ? samples : own;
}

Loader loader_of(const ImageSet& images, const EvaluateOptions& options, Device& device) {
  LoaderOptions loading = LoaderOptions::evaluation(options.batch, options.workers);
  loading.pixels = !DeviceBatch::renders(device);
  loading.normalize = options.normalize;
  const std::vector<int32_t> samples = own_samples(images, options);
  return samples.empty() ? Loader(images, loading) : Loader(images, samples, loading);
}

}  // namespace

Evaluator::Evaluator(Model& model, Device& device, const ImageSet& images, EvaluateOptions options)
    : model_(model),
      device_(device),
      images_(images),
      options_(std::move(options)),
      images_of_all_(images_of(images, options_)),
      loader_(loader_of(images, options_, device)),
      batch_(device, images, options_.batch, {.normalize = options_.normalize}),
      totals_(device),
      graph_(device),
      forward_(model, device, images_per_slice(model, device, options_.threads)),
      broken_(device.persistent({1}, DType::f64, 0)) {
  check(images.classes <= model.classes, Fault::input, "evaluate: the images have ", images.classes,
        " classes, ", model.name, " has ", model.classes);
  check(images.height == model.side && images.width == model.side, Fault::input, "evaluate: the images are ",
        images.width, "x", images.height, ", ", model.name, " expects ", model.side, "x", model.side);
  check(loader_.samples() > 0, Fault::input, "evaluate: there are no images");
  if (options_.per_class) logits_ = device.persistent({options_.batch, model.classes}, DType::f32);
}

void Evaluator::evaluate(const Batch& batch, Tensor kept) {
  graph_.run(batch.size(), [&] {
    const Pass pass{device_};
    batch_.render(batch);
    const Var logits = forward_(Var(batch.images));
    device_.backend().add_to_total(logits, 0, broken_);  // 0 times NaN or infinity is NaN
    totals_.add(cross_entropy(pass, logits, batch.labels), {}, logits, batch.labels, pass);
    if (kept) device_.backend().copy(logits, kept);
  });
}

// Losses in the order of the batches, as one process adds them; right answers are whole numbers.
Evaluator::Sums Evaluator::of_all(const Sums& own) const {
  const Communicator& world = *options_.world;
  std::vector<double> numbers = {own.top1, own.top5, own.broken ? 1.0 : 0.0};
  numbers.insert(numbers.end(), own.losses.begin(), own.losses.end());
  const std::string said(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  const std::vector<std::string> all = options_.world->gather(said);
  const auto number = [&](int rank, size_t place) {
    double value = 0;
    const std::string& text = all[size_t(rank)];
    check((place + 1) * sizeof value <= text.size(), "evaluate: rank ", rank, " has evaluated fewer batches");
    std::memcpy(&value, text.data() + place * sizeof value, sizeof value);
    return value;
  };
  Sums sums;
  for (int rank = 0; rank < world.size(); ++rank) {
    sums.top1 += number(rank, 0);
    sums.top5 += number(rank, 1);
    sums.broken |= number(rank, 2) != 0;
  }
  const int64_t batches = (images_of_all_ + options_.batch - 1) / options_.batch;
  for (int64_t i = 0; i < batches; ++i)
    sums.losses.push_back(number(int(i % world.size()), size_t(3 + i / world.size())));
  return sums;
}

Evaluation Evaluator::run(const std::function<void(int64_t done, int64_t total)>& progress) {
  Communicator* const world = options_.world;
  check(!world || !options_.per_class, "evaluate: classes are counted by one process");
  fold_batch_norms(model_, device_);
  totals_.clear();
  write_values(device_, broken_, {0});
  Evaluation result;
  if (options_.per_class) result.per_class.resize(size_t(images_.classes));
  Sums sums;
  const bool idle = world && world->rank() * options_.batch >= images_of_all_;
  if (!idle) loader_.begin_epoch(0);
  int64_t batches = 0;
  while (const HostBatch* host = idle ? nullptr : loader_.next()) {
    const Batch batch = batch_.upload(*host);
    const Tensor kept{logits_.tensor.data, {batch.size(), model_.classes}, DType::f32};
    evaluate(batch, kept);
    if (options_.per_class) {
      const std::vector<double> values = read_values(device_, kept);
      for (int64_t i = 0; i < batch.size(); ++i) {
        const auto row = values.begin() + i * model_.classes;
        auto& own = result.per_class[size_t(host->labels[i])];
        ++own.images;
        own.correct += std::max_element(row, row + model_.classes) - row == host->labels[i];
      }
    }
    if (world) {  // each batch alone, to be added in the order of all
      const MetricTotals::Values values = totals_.read();
      sums.losses.push_back(values.loss);
      sums.top1 += values.top1;
      sums.top5 += values.top5;
      totals_.clear();
    }
    if (progress) progress(++batches, loader_.batches());
  }
  device_.step_arena().rewind();
  sums.broken = !std::isfinite(read_values(device_, broken_)[0]);
  double loss = 0;
  if (world) {
    sums = of_all(sums);
    for (const double one : sums.losses) loss += one;
  } else {
    const MetricTotals::Values values = totals_.read();
    loss = values.loss;
    sums.top1 = values.top1;
    sums.top5 = values.top5;
  }
  result.n = images_of_all_;
  const double n = double(result.n);
  result.top1 = 100 * sums.top1 / n;
  result.top5 = 100 * sums.top5 / n;
  result.loss = loss / n;
  check(std::isfinite(result.loss) && !sums.broken, Fault::diverged, "evaluate: on ", result.n,
        " images the loss of ", model_.name, " is ",
        std::isnan(result.loss) ? std::abs(result.loss) : result.loss,
        ", or a logit is not finite: the network's numbers overflow, its accuracy says nothing");
  return result;
}

}  // namespace retort
