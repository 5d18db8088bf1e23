#include "models/borrowed_classifier.h"

#include <algorithm>

#include "engine/types.h"

namespace retort {

namespace {

ConvOptions conv(int kernel, int64_t in) {
  return {.kernel = kernel, .init = Init::fan_in(in * kernel * kernel)};
}

// What is projected: the map behind the last stage and its ReLU, before a convolution that only the
// classifier reads.
const Var& last_map(Model& model, const Outputs& outputs) {
  return model.head() ? outputs.stages.back() : outputs.map;
}

// Where the sides divide, by the pooling that every export knows.
Var pooled_to(const Pass& pass, const Var& map, int64_t height, int64_t width) {
  const int64_t h = map.shape()[1], w = map.shape()[2];
  if (h == height && w == width) return map;
  if (h % height == 0 && w % width == 0 && h / height == w / width)
    return pool2d(pass, map, {Pool2dSpec::average, int(h / height), int(h / height)});
  const Var wide = cast(pass, map, wide_type(map.type()));
  return cast(pass, adaptive_average_pool(pass, wide, height, width), map.type());
}

// Of one image's maps: what pooled is the mean of, and what is projected.
struct MapShapes {
  Shape map, last;
};

MapShapes map_shapes(Model& model, Device& device) {
  const Pass pass{device};
  const Var image = pass.make({1, model.side, model.side, 3}, DType::f32);
  device.backend().fill(image, 0);
  const Outputs outputs = model.run(image, pass, true);
  return {outputs.map.shape(), last_map(model, outputs).shape()};
}

}  // namespace

Projector::Projector(Device& device, int64_t in, int64_t out, DType type)
    : first_(device, "conv1", "bn1", in, out / 2, conv(1, in), type),
      second_(device, "conv2", "bn2", out / 2, out / 2, conv(3, out / 2), type),
      third_(device, "conv3", "bn3", out / 2, out, conv(1, out / 2), type) {}

void Projector::visit(Visitor& visitor) {
  for (ConvBn* part : {&first_, &second_, &third_}) visitor.child("", *part);
}

Var Projector::operator()(const Var& map, const Pass& pass) {
  return third_(second_(first_(map, pass, true), pass, true), pass, true);
}

BorrowedClassifier::BorrowedClassifier(Device& device, std::unique_ptr<Model> body, Model& donor, DType type)
    : body_(std::move(body)) {
  const MapShapes theirs = map_shapes(donor, device);
  check(donor.classifier() && !donor.head(), Fault::usage, "model ", donor.name,
        ": a convolution stands between its last stage and its classifier, which cannot be borrowed; "
        "expected a network as resnet, wrn or vgg");
  const Shape target = theirs.map, own = map_shapes(*body_, device).last;
  height_ = std::min(own[1], target[1]);
  width_ = std::min(own[2], target[2]);
  projector_ = std::make_unique<Projector>(device, own[3], target[3], type);
  weight_ = device.persistent(donor.classifier()->weight.value.tensor.shape, type, 0);
  bias_ = device.persistent(donor.classifier()->bias.value.tensor.shape, type, 0);
  side = body_->side;
  for (Module* unused : {static_cast<Module*>(body_->classifier()), body_->head()}) {
    if (!unused) continue;
    for (const NamedParameter& p : parameters_of(*unused)) p.parameter->idle = true;
  }
}

void BorrowedClassifier::visit(Visitor& visitor) {
  visitor.child("", *body_);
  visitor.child("projector", *projector_);
  visitor.buffer("borrowed.weight", weight_, Init::zeros());
  visitor.buffer("borrowed.bias", bias_, Init::zeros());
}

Outputs BorrowedClassifier::forward(const Var& images, const Pass& pass, bool features) {
  Outputs outputs = body_->forward(images, pass, true);
  const Var& map = last_map(*body_, outputs);
  const Var projected = (*projector_)(pooled_to(pass, map, height_, width_), pass);
  const Var pooled = global_average_pool(pass, projected);
  if (!features) outputs = {};
  outputs.logits = linear(pass, pooled, Var(weight_), Var(bias_));
  if (features) outputs.pooled = pooled, outputs.map = projected;
  return outputs;
}

void BorrowedClassifier::borrow(Model& donor, Device& device) {
  const Linear* theirs = donor.classifier();
  check(theirs && theirs->weight.value.tensor.shape == weight_.tensor.shape,
        "BorrowedClassifier: ", donor.name, " is another network");
  device.backend().copy(theirs->weight.value, weight_);
  device.backend().copy(theirs->bias.value, bias_);
}

}  // namespace retort
