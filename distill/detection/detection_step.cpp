#include "distill/detection/detection_step.h"

#include <exception>

#include "distill/detection/losses.h"
#include "engine/ops/region_ops.h"

namespace retort {

namespace {

// Numbers of this step in host memory.
std::vector<float> downloaded(Device& device, const Tensor& tensor) {
  std::vector<float> numbers(size_t(tensor.size()));
  device.backend().download(numbers.data(), tensor);
  return numbers;
}

}  // namespace

TrueBoxes true_boxes(const DetectionSample& sample) {
  TrueBoxes truth;
  for (const DetectionObject& object : sample.objects) {
    const CocoRect& b = object.box;
    const BoundingBox box{float(b.x), float(b.y), float(b.x + b.width), float(b.y + b.height)};
    if (!(box.width() > 0 && box.height() > 0)) continue;
    truth.boxes.push_back(box);
    truth.classes.push_back(object.label);
  }
  return truth;
}

void for_each_image(Device& device, size_t images, const std::function<void(size_t n)>& f) {
  std::vector<std::exception_ptr> thrown(images);
  device.backend().run_on_host(int64_t(images), [&](int64_t n) {
    try {
      f(size_t(n));
    } catch (...) {
      thrown[size_t(n)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& one : thrown)
    if (one) std::rethrow_exception(one);
}

std::vector<std::vector<BoundingBox>> proposals_of(const DetectorSpec& spec, const Proposed& proposed,
                                                   const std::vector<BoundingBox>& anchors,
                                                   const HostDetections& batch, bool training,
                                                   Device& device) {
  const std::vector<float> logits = downloaded(device, proposed.logits),
                           deltas = downloaded(device, proposed.deltas);
  const size_t count = anchors.size();
  std::vector<std::vector<BoundingBox>> proposals(batch.samples.size());
  for_each_image(device, batch.samples.size(), [&](size_t n) {
    std::vector<BoxDeltas> own(count);
    for (size_t i = 0; i < count; ++i)
      for (size_t k = 0; k < 4; ++k) own[i][k] = deltas[(n * count + i) * 4 + k];
    const PictureArea picture{float(batch.samples[n].height), float(batch.samples[n].width)};
    proposals[n] = make_proposals(spec, batch.height, batch.width, anchors,
                                  std::span(logits).subspan(n * count, count), own, picture, training);
  });
  return proposals;
}

DetectionStep::DetectionStep(DetectionParts parts)
    : parts_(std::move(parts)), totals_(parts_.device), anchors_(parts_.student.spec()) {}

HostDetections part_of(const HostDetections& batch, const Part& part) {
  const auto own = [&](const auto& all, int64_t each) {
    const auto first = all.begin() + part.first * each;
    return std::vector(first, first + part.count * each);
  };
  const int64_t pixels = batch.height * batch.width * 3;
  return {.height = batch.height,
          .width = batch.width,
          .images = own(batch.images, pixels),
          .other_images = own(batch.other_images, batch.other_images.empty() ? 0 : pixels),
          .samples = own(batch.samples, 1)};
}

void DetectionStep::run(const HostDetections& batch, int epoch, double weight) {
  weight_ = weight;
  if (parts_.shards)
    parts_.shards->run(
        batch.size(), [&](const Part& part, double share) { take(part_of(batch, part), epoch, share); },
        totals_);
  else
    take(batch, epoch, 1);
  parts_.optimizer.step();
}

// The gradients of a batch, or of a part that is this share of it.
void DetectionStep::take(const HostDetections& batch, int epoch, double share) {
  Device& device = parts_.device;
  const DetectorSpec& spec = parts_.student.spec();
  device.step_arena().rewind();
  Tape tape(device);
  const Pass pass{device, &tape, true}, untaped{device};
  const Shape shape{batch.size(), batch.height, batch.width, 3};
  const Var images = upload_numbers(untaped, shape, DType::f32, batch.images);
  const std::vector<Var> pyramid = parts_.student.pyramid(images, pass);
  const Proposed proposed = parts_.student.propose(pyramid, pass);

  const std::vector<BoundingBox>& all_anchors = anchors_.of(batch.height, batch.width);
  const auto proposals = proposals_of(spec, proposed, all_anchors, batch, true, device);
  std::vector<AnchorTargets> anchor_batch(batch.samples.size());
  std::vector<RoiTargets> of_images(batch.samples.size());
  for_each_image(device, batch.samples.size(), [&](size_t n) {
    const auto image = uint32_t(batch.samples[n].image);
    const TrueBoxes truth = true_boxes(batch.samples[n]);
    anchor_batch[n] = anchor_targets(spec, all_anchors, truth.boxes,
                                     {parts_.seed, box_purpose::anchor_sample, uint32_t(epoch), image});
    of_images[n] = roi_targets(spec, proposals[n], truth, int32_t(parts_.student.classes),
                               {parts_.seed, box_purpose::roi_sample, uint32_t(epoch), image});
  });
  RoiBatch rois;
  for (size_t n = 0; n < of_images.size(); ++n) rois.add(int32_t(n), of_images[n]);
  check(rois.size() > 0, Fault::diverged, parts_.student.name,
        ": proposes nothing on pictures without a true box; its numbers are not finite, or far too large");

  const Var labels = upload_integers(untaped, {rois.size()}, rois.classes);
  const Judged judged = parts_.student.judge(pyramid, rois.rois, pass);
  std::vector<LossTerm> terms = proposal_losses(spec, proposed, anchor_batch, pass);
  for (LossTerm& term : box_losses(judged, rois, labels, pass)) terms.push_back(std::move(term));
  if (parts_.teacher) {
    const Var seen =
        batch.other_images.empty() ? images : upload_numbers(untaped, shape, DType::f32, batch.other_images);
    const std::vector<Var> taught = parts_.teacher->pyramid(seen, untaped);
    std::vector<LossTerm> distilled;
    if (parts_.distiller.settings().method().reads.features) {
      DistillInputs inputs{.logits = {judged.logits, judged.logits}};  // which it does not look at
      inputs.features.student.stages = pyramid;
      inputs.features.teacher.stages = taught;
      distilled = parts_.distiller.distillation_terms(inputs, pass);
    } else {
      const Var theirs = parts_.teacher->judge(taught, rois.rois, untaped).logits;
      distilled = distillation(judged.logits, theirs, rois.classes, labels, pass);
    }
    for (LossTerm& term : distilled) terms.push_back({term.name, weighted(pass, term.value, weight_)});
  }
  const Var loss = total(terms, pass);
  if (parts_.shards)
    parts_.shards->note(loss, terms, pass);
  else
    totals_.add(loss, terms, batch.size(), pass);
  tape.backward(of_share(loss, share, pass), parts_.optimizer.loss_scale());

  term_names_.clear();
  for (const LossTerm& term : terms) term_names_.push_back(term.name);
}

std::vector<LossTerm> DetectionStep::distillation(const Var& student, const Var& teacher,
                                                  const std::vector<int32_t>& classes, const Var& labels,
                                                  const Pass& pass) {
  const int64_t background = student.shape()[1] - 1;
  DistillInputs inputs{.logits = {student, teacher}, .labels = labels};
  bool none = false;
  if (parts_.positives) {
    std::vector<int32_t> rows, own;
    for (size_t i = 0; i < classes.size(); ++i) {
      if (classes[i] >= background) continue;
      rows.push_back(int32_t(i));
      own.push_back(classes[i]);
    }
    // True boxes are among the boxes, but they may all be too thin to be any in f32. Then the terms count as
    // 0: those of some row, times 0.
    none = rows.empty();
    if (none) rows = own = std::vector<int32_t>{0};
    const auto count = int64_t(rows.size());
    const Var index = upload_integers(pass, {count}, rows);
    inputs.logits = {gather_rows(pass, student, index), gather_rows(Pass{pass.device}, teacher, index)};
    inputs.labels = upload_integers(pass, {count}, own);
  }
  if (!parts_.background) {
    inputs.logits.student = slice_columns(pass, inputs.logits.student, 0, background);
    inputs.logits.teacher = slice_columns(Pass{pass.device}, inputs.logits.teacher, 0, background);
  }
  std::vector<LossTerm> terms = parts_.distiller.distillation_terms(inputs, pass);
  if (none)
    for (LossTerm& term : terms) term.value = affine(pass, term.value, 0);
  return terms;
}

}  // namespace retort
