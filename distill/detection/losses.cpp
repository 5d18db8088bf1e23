#include "distill/detection/losses.h"
#include "engine/ops/region_ops.h"

namespace retort {

Var upload_numbers(const Pass& pass, const Shape& shape, DType type, const std::vector<float>& numbers) {
  check(shape.size() == int64_t(numbers.size()), "upload_numbers: ", numbers.size(), " numbers as ", shape);
  const Var var = pass.make(shape, type);
  if (type == DType::f32)
    pass.backend().upload(var, numbers.data());
  else
    write_values(pass.device, var, {numbers.begin(), numbers.end()});
  return var;
}

Var upload_integers(const Pass& pass, const Shape& shape, const std::vector<int32_t>& numbers) {
  check(shape.size() == int64_t(numbers.size()), "upload_integers: ", numbers.size(), " numbers as ", shape);
  const Var var = pass.make(shape, DType::i32);
  pass.backend().upload(var, numbers.data());
  return var;
}

namespace {

void append(std::vector<float>& to, const std::vector<BoxDeltas>& deltas) {
  for (const BoxDeltas& d : deltas) to.insert(to.end(), d.begin(), d.end());
}

// sum of |found - wanted| over the rows of weight 1, times scale.
Var l1_of_rows(const Pass& pass, const Var& found, const Var& wanted, const Var& weights, double scale) {
  return sum_all(pass, mul(pass, abs(pass, sub(pass, found, wanted)), weights), scale);
}

}  // namespace

std::vector<LossTerm> proposal_losses(const DetectorSpec& spec, const Proposed& proposed,
                                      const std::vector<AnchorTargets>& targets, const Pass& pass) {
  const int64_t images = proposed.logits.shape()[0], anchors = proposed.logits.shape()[1];
  check(int64_t(targets.size()) == images, "proposal_losses: ", targets.size(), " targets for ", images,
        " images");
  const DType type = proposed.logits.type();
  std::vector<int32_t> index;
  std::vector<float> weights, objects, places, wanted;
  for (int64_t n = 0; n < images; ++n) {
    const AnchorTargets& own = targets[size_t(n)];
    for (const int32_t anchor : own.anchors) index.push_back(int32_t(n * anchors) + anchor);
    weights.insert(weights.end(), own.weights.begin(), own.weights.end());
    objects.insert(objects.end(), own.objects.begin(), own.objects.end());
    append(wanted, own.deltas);
  }
  const auto count = int64_t(index.size());
  const Var rows = upload_integers(pass, {count}, index);
  const Var drawn = upload_numbers(pass, {count, 1}, type, weights),
            object = upload_numbers(pass, {count, 1}, type, objects);
  const double scale = 1.0 / (double(spec.rpn_samples) * double(images));

  const Var z = gather_rows(pass, reshape(pass, proposed.logits, {images * anchors, 1}), rows);
  const Var entropy = sub(pass, softplus(pass, z), mul(pass, z, object));
  const Var deltas = gather_rows(pass, reshape(pass, proposed.deltas, {images * anchors, 4}), rows);
  return {
      {"rpn_cls", sum_all(pass, mul(pass, entropy, drawn), scale)},
      {"rpn_box", l1_of_rows(pass, deltas, upload_numbers(pass, {count, 4}, type, wanted), object, scale)}};
}

void RoiBatch::add(int32_t image, const RoiTargets& targets) {
  rois.boxes.insert(rois.boxes.end(), targets.boxes.begin(), targets.boxes.end());
  rois.images.insert(rois.images.end(), targets.boxes.size(), image);
  classes.insert(classes.end(), targets.classes.begin(), targets.classes.end());
  deltas.insert(deltas.end(), targets.deltas.begin(), targets.deltas.end());
}

std::vector<LossTerm> box_losses(const Judged& judged, const RoiBatch& batch, const Var& labels,
                                 const Pass& pass) {
  const int64_t count = batch.size(), background = judged.logits.shape()[1] - 1;
  check(judged.logits.shape()[0] == count, "box_losses: ", judged.logits.shape(), " for ", count, " boxes");
  const DType type = judged.logits.type();
  std::vector<int32_t> columns;  // of the true class; of background any, their weight is 0
  std::vector<float> objects, wanted;
  for (const int32_t c : batch.classes) {
    const bool object = c < background;
    objects.push_back(object ? 1.0f : 0.0f);
    for (int32_t k = 0; k < 4; ++k) columns.push_back((object ? c : 0) * 4 + k);
  }
  append(wanted, batch.deltas);
  const Var own = gather_columns(pass, judged.deltas, upload_integers(pass, {count, 4}, columns));
  return {{"cls", cross_entropy(pass, judged.logits, labels)},
          {"box", l1_of_rows(pass, own, upload_numbers(pass, {count, 4}, type, wanted),
                             upload_numbers(pass, {count, 1}, type, objects), 1.0 / double(count))}};
}

}  // namespace retort
