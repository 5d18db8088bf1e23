#include "models/detection/heads.h"

#include <cmath>

#include "engine/ops/region_ops.h"

namespace retort {

namespace {

// U(+-sqrt(3 / fan_in)), Caffe2's "Xavier".
Init spread(int64_t fan_in) {
  return {Init::uniform, std::sqrt(3.0 / double(fan_in))};
}

ConvOptions conv(int kernel, const Init& init) {
  return {.kernel = kernel, .bias = true, .init = init};
}

}  // namespace

FeaturePyramid::FeaturePyramid(Device& device, const std::vector<int64_t>& channels, int64_t width,
                               int levels, DType type)
    : levels_(levels) {
  for (const int64_t in : channels) {
    lateral_.push_back(std::make_unique<Conv2d>(device, in, width, conv(1, spread(in)), type));
    output_.push_back(std::make_unique<Conv2d>(device, width, width, conv(3, spread(9 * width)), type));
  }
}

void FeaturePyramid::visit(Visitor& visitor) {
  for (size_t i = 0; i < lateral_.size(); ++i) {
    visitor.child(text("fpn_lateral", i + 2), *lateral_[i]);
    visitor.child(text("fpn_output", i + 2), *output_[i]);
  }
}

std::vector<Var> FeaturePyramid::operator()(const std::vector<Var>& scales, const Pass& pass) {
  std::vector<Var> pyramid(scales.size());
  Var above;
  for (size_t i = scales.size(); i-- > 0;) {
    const Shape& own = scales[i].shape();
    if (above) above = resize_nearest(pass, above, own[1], own[2]);
    above = (*lateral_[i])(scales[i], pass, above);
    pyramid[i] = (*output_[i])(above, pass);
  }
  while (int(pyramid.size()) < levels_)
    pyramid.push_back(pool2d(pass, pyramid.back(), {Pool2dSpec::maximum, 1, 2, 0}));
  return pyramid;
}

ProposalHead::ProposalHead(Device& device, int64_t width, int ratios, DType type)
    : conv_(device, width, width, conv(3, Init::normal_of(0.01)), type),
      logits_(device, width, ratios, conv(1, Init::normal_of(0.01)), type),
      deltas_(device, width, 4 * ratios, conv(1, Init::normal_of(0.01)), type) {}

void ProposalHead::visit(Visitor& visitor) {
  visitor.child("conv", conv_);
  visitor.child("objectness_logits", logits_);
  visitor.child("anchor_deltas", deltas_);
}

Proposed ProposalHead::operator()(const std::vector<Var>& pyramid, const Pass& pass) {
  std::vector<Var> logits, deltas;
  const int64_t images = pyramid[0].shape()[0];
  for (const Var& level : pyramid) {
    const Var inner = relu(pass, conv_(level, pass));
    const Var z = logits_(inner, pass), d = deltas_(inner, pass);
    logits.push_back(reshape(pass, z, {images, z.shape().size() / images}));
    deltas.push_back(reshape(pass, d, {images, d.shape().size() / images}));
  }
  const Var z = concat_columns(pass, logits), d = concat_columns(pass, deltas);
  return {z, reshape(pass, d, {images, z.shape()[1], 4})};
}

BoxHead::BoxHead(Device& device, const DetectorSpec& spec, int64_t width, int64_t hidden, int64_t classes,
                 DType type)
    : spec_(spec),
      first_weight_(device, {hidden, spec.roi_size, spec.roi_size, width}, type),
      first_bias_(device, {hidden}, type),
      second_(device, hidden, hidden, {spread(hidden), Init::zeros()}, type),
      classes_(device, hidden, classes + 1, {Init::normal_of(0.01), Init::zeros()}, type),
      boxes_(device, hidden, 4 * classes, {Init::normal_of(0.001), Init::zeros()}, type),
      hidden_(hidden) {}

namespace {

// The first layer's two parameters, under its name.
class Named : public Module {
 public:
  Named(Parameter& weight, Parameter& bias) : weight_(weight), bias_(bias) {}
  void visit(Visitor& visitor) override {
    visitor.parameter("weight", weight_,
                      spread(weight_.value.tensor.shape.size() / weight_.value.tensor.shape[0]));
    visitor.parameter("bias", bias_, Init::zeros());
  }

 private:
  Parameter &weight_, &bias_;
};

// A layer over all boxes: its multiply-adds are those of each.
Var counted(Linear& layer, const Var& x, const Pass& pass) {
  const Var y = linear(pass, x, pass.parameter(layer.weight), pass.parameter(layer.bias));
  const int64_t boxes = y.shape()[0];
  if (pass.observer)
    pass.observer->on_call({&layer, "linear", y.shape(), layer.weight.value.tensor.size() * boxes});
  return y;
}

}  // namespace

void BoxHead::visit(Visitor& visitor) {
  Named first(first_weight_, first_bias_);
  visitor.child("box_head.fc1", first);
  visitor.child("box_head.fc2", second_);
  visitor.child("box_predictor.cls_score", classes_);
  visitor.child("box_predictor.bbox_pred", boxes_);
}

Judged BoxHead::operator()(const std::vector<Var>& pyramid, const Rois& rois, const Pass& pass) {
  const std::vector<Var> seen(pyramid.begin(), pyramid.begin() + spec_.roi_levels);
  std::vector<double> scales;
  for (int level = 0; level < spec_.roi_levels; ++level) scales.push_back(1.0 / spec_.stride(level));
  const Var looked = roi_align(pass, seen, scales, rois.boxes, rois.images, rois.levels, spec_.roi_size);
  const int64_t boxes = looked.shape()[0], inputs = looked.shape().size() / boxes;
  const Var weight = reshape(pass, pass.parameter(first_weight_), {hidden_, inputs});
  Var x =
      relu(pass, linear(pass, reshape(pass, looked, {boxes, inputs}), weight, pass.parameter(first_bias_)));
  if (pass.observer) pass.observer->on_call({this, "linear", x.shape(), hidden_ * inputs * boxes});
  x = relu(pass, counted(second_, x, pass));
  return {counted(classes_, x, pass), counted(boxes_, x, pass)};
}

}  // namespace retort
