#include "distill/teacher/class_similarity.h"

#include <algorithm>
#include <cmath>

#include "datasets/device_batch.h"
#include "datasets/loader.h"
#include "engine/base/check.h"
#include "engine/ops/ops.h"

namespace retort {

namespace {

using Progress = std::function<void(int64_t done, int64_t total)>;

// Of each class the features of its first images: rows x channels, a row a place of a map, or a photo's
// logits.
struct ClassFeatures {
  std::vector<std::vector<float>> of_class;
  int64_t channels = 0;
};

int64_t images_of_each_class(const ImageSet& images, const std::vector<int32_t>& samples) {
  std::vector<int64_t> counts(size_t(images.classes), 0);
  for (const int32_t sample : samples) ++counts[size_t(images.labels[size_t(sample)])];
  const auto least = std::min_element(counts.begin(), counts.end());
  check(*least > 0, Fault::usage, "class similarity: class ", least - counts.begin(), " has none of the ",
        samples.size(), " training images; expected at least one of each class");
  return *least;
}

ClassFeatures features_of(Model& teacher, Device& device, const ImageSet& images,
                          const std::vector<int32_t>& samples, const Normalize& sees,
                          const Progress& progress) {
  constexpr int64_t batch_size = 100;
  const int64_t each = images_of_each_class(images, samples);
  LoaderOptions loading = LoaderOptions::evaluation(batch_size, 1);
  loading.pixels = !DeviceBatch::renders(device);
  loading.normalize = sees;
  Loader loader(images, samples, loading);
  DeviceBatch device_batch(device, images, batch_size, {.normalize = sees});
  ClassFeatures features;
  features.of_class.resize(size_t(images.classes));
  std::vector<float> values;
  std::vector<int64_t> taken(size_t(images.classes), 0);
  int64_t done = 0;
  loader.begin_epoch(0);
  while (const HostBatch* host = loader.next()) {
    device.step_arena().rewind();
    const Batch batch = device_batch.upload(*host);
    device_batch.render(batch);
    const Outputs outputs = teacher.run(Var(batch.images), Pass{device}, true);
    const Var& seen = images.in_memory() ? outputs.stages.back() : outputs.logits;
    features.channels = seen.shape().last();
    values.resize(size_t(seen.tensor().size()));
    device.backend().download(values.data(), seen);
    const int64_t of_image = seen.tensor().size() / host->size;
    for (int64_t i = 0; i < host->size; ++i) {
      const auto label = size_t(host->labels[i]);
      if (taken[label]++ >= each) continue;
      const auto first = values.begin() + i * of_image;
      features.of_class[label].insert(features.of_class[label].end(), first, first + of_image);
    }
    if (progress) progress(++done, loader.batches());
  }
  device.step_arena().rewind();
  // As many of each: a picture that cannot be read gives its place to one of another class (data.bad).
  const auto least = std::min_element(features.of_class.begin(), features.of_class.end(),
                                      [](const auto& a, const auto& b) { return a.size() < b.size(); });
  check(!least->empty(), Fault::input, "class similarity: class ", least - features.of_class.begin(),
        " has no training image that can be read; expected at least one of each class");
  const size_t rows = least->size();
  for (std::vector<float>& of_class : features.of_class) of_class.resize(rows);
  return features;
}

void centre(std::vector<float>& rows, int64_t channels) {
  std::vector<double> means(size_t(channels), 0.0);
  for (size_t i = 0; i < rows.size(); ++i) means[i % size_t(channels)] += rows[i];
  for (double& mean : means) mean /= double(rows.size()) / double(channels);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = float(rows[i] - means[i % size_t(channels)]);
}

}  // namespace

std::vector<double> class_similarity(Model& teacher, Device& device, const ImageSet& images,
                                     const std::vector<int32_t>& samples, const Normalize& sees,
                                     const Progress& progress) {
  ClassFeatures features = features_of(teacher, device, images, samples, sees, progress);
  for (std::vector<float>& rows : features.of_class) centre(rows, features.channels);
  const auto n = features.of_class.size();
  const auto uploaded = [&](const Pass& pass, size_t of) {
    const std::vector<float>& rows = features.of_class[of];
    const Var x = pass.make({int64_t(rows.size()) / features.channels, features.channels}, DType::f32);
    pass.backend().upload(x, rows.data());
    return x;
  };
  std::vector<double> squares(n * n, 0.0);  // |Y'X|^2
  for (size_t i = 0; i < n; ++i) {
    device.step_arena().rewind();
    const Pass pass{device};
    const Var x = uploaded(pass, i);
    for (size_t j = i; j < n; ++j) {
      const Var gram = matmul(pass, i == j ? x : uploaded(pass, j), x, true, false);
      double sum = 0;
      for (const double value : read_values(device, gram)) sum += value * value;
      squares[i * n + j] = squares[j * n + i] = sum;
    }
  }
  device.step_arena().rewind();
  std::vector<double> similarity(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      const double norms = std::sqrt(squares[i * n + i] * squares[j * n + j]);
      // Features that do not vary are like nothing but themselves.
      similarity[i * n + j] = i == j ? 1 : norms > 0 ? squares[i * n + j] / norms : 0;
    }
  }
  return similarity;
}

}  // namespace retort
