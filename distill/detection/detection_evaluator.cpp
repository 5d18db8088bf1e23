#include "distill/detection/detection_evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "distill/detection/detection_step.h"
#include "distill/detection/losses.h"
#include "engine/base/check.h"

namespace retort {

DetectionLoaderOptions pictures_for(const DetectorSpec& spec, int size, const Normalize& sees,
                                    bool training) {
  DetectionLoaderOptions options;
  options.training = training;
  options.sides = size > 0 ? std::vector<int>{size} : training ? spec.train_sides : spec.test_sides;
  options.longest = std::max(spec.longest_side, size);
  options.pad_multiple = spec.pad_multiple;
  options.normalize = sees;
  return options;
}

namespace {

DetectionLoaderOptions own_batches(DetectionLoaderOptions options, const Communicator* world) {
  if (!world) return options;
  options.first = world->rank();
  options.every = world->size();
  return options;
}

// What one process found, for the others.
struct Found {
  int64_t image = 0;  // its number
  CocoDetection detection;
};
static_assert(std::is_trivially_copyable_v<Found>);

}  // namespace

DetectionEvaluator::DetectionEvaluator(Detector& detector, Device& device, const DetectionPart& part,
                                       const DetectionLoaderOptions& options, Communicator* world)
    : detector_(detector),
      device_(device),
      part_(part),
      world_(world),
      loader_(part, own_batches(options, world)),
      anchors_(detector.spec()) {
  check(!options.training, "DetectionEvaluator: pictures as training sees them");
  check(int64_t(part.annotations.categories.size()) == detector.classes, Fault::input, detector.name,
        " knows ", detector.classes, " classes, the data has ", part.annotations.categories.size());
}

std::vector<CocoDetection> DetectionEvaluator::detect(const std::function<void(int64_t, int64_t)>& activity) {
  OfImages found = on_all(world_, [&] { return detect_own(activity); });
  if (world_) gather(found);
  std::vector<CocoDetection> all;
  for (const auto& own : found) all.insert(all.end(), own.begin(), own.end());
  return all;
}

DetectionEvaluator::OfImages DetectionEvaluator::detect_own(
    const std::function<void(int64_t, int64_t)>& activity) {
  OfImages found(size_t(part_.size()));
  fold_batch_norms(detector_, device_);
  loader_.begin_epoch(1);
  int64_t done = 0;
  const int64_t all = loader_.samples_before(loader_.batches());
  while (const HostDetections* batch = loader_.next()) {
    detect(*batch, found);
    done += batch->size();
    if (activity) activity(done, all);
  }
  return found;
}

// An image is in one process's batches.
void DetectionEvaluator::gather(OfImages& found) const {
  std::string own;
  for (size_t image = 0; image < found.size(); ++image) {
    for (const CocoDetection& detection : found[image]) {
      const Found one{int64_t(image), detection};
      own.append(reinterpret_cast<const char*>(&one), sizeof one);
    }
    found[image].clear();
  }
  for (const std::string& text : world_->gather(own)) {
    for (size_t at = 0; at + sizeof(Found) <= text.size(); at += sizeof(Found)) {
      Found one;
      std::memcpy(&one, text.data() + at, sizeof one);
      found.at(size_t(one.image)).push_back(one.detection);
    }
  }
}

void DetectionEvaluator::detect(const HostDetections& batch, OfImages& found_in) {
  device_.step_arena().rewind();
  const Pass pass{device_};
  const DetectorSpec& spec = detector_.spec();
  const Var images =
      upload_numbers(pass, {batch.size(), batch.height, batch.width, 3}, DType::f32, batch.images);
  const std::vector<Var> pyramid = detector_.pyramid(images, pass);
  const Proposed proposed = detector_.propose(pyramid, pass);
  const std::vector<std::vector<BoundingBox>> proposals =
      proposals_of(spec, proposed, anchors_.of(batch.height, batch.width), batch, false, device_);
  HostRois rois;
  for (size_t n = 0; n < proposals.size(); ++n) {
    rois.boxes.insert(rois.boxes.end(), proposals[n].begin(), proposals[n].end());
    rois.images.insert(rois.images.end(), proposals[n].size(), int32_t(n));
  }
  if (rois.boxes.empty()) return;
  const Judged judged = detector_.judge(pyramid, rois, pass);
  const Var probable = softmax(pass, judged.logits);
  const int64_t classes = detector_.classes;
  std::vector<float> probabilities(size_t(probable.tensor().size())),
      numbers(size_t(judged.deltas.tensor().size()));
  device_.backend().download(probabilities.data(), probable);
  device_.backend().download(numbers.data(), judged.deltas);
  check(std::all_of(probabilities.begin(), probabilities.end(), [](float p) { return std::isfinite(p); }),
        Fault::diverged, detector_.name, " gives numbers that are not finite");

  std::vector<size_t> firsts = {0};  // of each image's boxes
  for (const auto& own : proposals) firsts.push_back(firsts.back() + own.size());
  for_each_image(device_, proposals.size(), [&](size_t n) {
    const size_t first = firsts[n], count = proposals[n].size();
    const DetectionSample& sample = batch.samples[n];
    std::vector<BoxDeltas> deltas(count * size_t(classes));
    for (size_t i = 0; i < deltas.size(); ++i)
      for (size_t k = 0; k < 4; ++k) deltas[i][k] = numbers[(first * size_t(classes) + i) * 4 + k];
    const std::vector<Detection> found = make_detections(
        spec, proposals[n],
        std::span(probabilities).subspan(first * size_t(classes + 1), count * size_t(classes + 1)), deltas,
        classes, {float(sample.height), float(sample.width)});
    const double across = double(sample.original_width) / sample.width,
                 down = double(sample.original_height) / sample.height;
    for (const Detection& d : found) {
      const double left = std::min(d.box.x1 * across, double(sample.original_width)),
                   top = std::min(d.box.y1 * down, double(sample.original_height)),
                   right = std::min(d.box.x2 * across, double(sample.original_width)),
                   bottom = std::min(d.box.y2 * down, double(sample.original_height));
      found_in[size_t(sample.image)].push_back({part_.annotations.images[size_t(sample.image)].id,
                                                part_.annotations.categories[size_t(d.label)].id,
                                                {left, top, right - left, bottom - top},
                                                double(d.score)});
    }
  });
}

}  // namespace retort
