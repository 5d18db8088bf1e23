#include <iterator>

#include "engine/ops/region_ops.h"
#include "models/detection/backbone.h"
#include "models/detection/conv_norm.h"

namespace retort {

namespace {

struct Group {
  int expansion;
  int64_t out;
  int blocks;
  int stride;    // of the first block
  bool is_seen;  // its end is one of C2..C5
};
constexpr int64_t stem_width = 32;
constexpr Group plan[] = {{1, 16, 1, 1, false}, {6, 24, 2, 2, true}, {6, 32, 3, 2, true},
                          {6, 64, 4, 2, false}, {6, 96, 3, 1, true}, {6, 160, 3, 2, false},
                          {6, 320, 1, 1, true}};

ConvOptions conv(int kernel, int64_t out, int stride = 1, int groups = 1) {
  return {.kernel = kernel, .stride = stride, .groups = groups, .init = Init::he(kernel, out)};
}

// project(depthwise(expand(x))), + x where the shape stays; ReLU6 behind the first two.
class InvertedResidual : public Module {
 public:
  InvertedResidual(Device& device, int64_t in, int64_t out, int stride, int expansion, DType type)
      : residual_(stride == 1 && in == out) {
    const int64_t wide = in * expansion;
    const auto add = [&](int64_t from, int64_t to, const ConvOptions& options) {
      layers_.push_back(std::make_unique<ConvNorm>(device, from, to, options, true, type));
    };
    if (expansion != 1) add(in, wide, conv(1, wide));
    add(wide, wide, conv(3, wide, stride, int(wide)));
    add(wide, out, conv(1, out));
  }

  void visit(Visitor& visitor) override {
    for (size_t i = 0; i < layers_.size(); ++i) visitor.child(text("conv.", 3 * i), *layers_[i]);
  }

  Var operator()(const Var& x, const Pass& pass) {
    Var inner = x;
    for (size_t i = 0; i + 1 < layers_.size(); ++i) inner = relu6(pass, (*layers_[i])(inner, pass, false));
    return (*layers_.back())(inner, pass, false, residual_ ? x : Var());
  }

 private:
  std::vector<std::unique_ptr<ConvNorm>> layers_;
  bool residual_;
};

class MobileNetBackbone : public Backbone {
 public:
  MobileNetBackbone(Device& device, DType type)
      : stem_(device, 3, stem_width, conv(3, stem_width, 2), true, type) {
    int64_t in = stem_width;
    for (const Group& group : plan) {
      for (int i = 0; i < group.blocks; ++i) {
        blocks_.push_back(std::make_unique<InvertedResidual>(device, in, group.out, i == 0 ? group.stride : 1,
                                                             group.expansion, type));
        seen_.push_back(group.is_seen && i + 1 == group.blocks);
        in = group.out;
      }
      if (group.is_seen) channels.push_back(group.out);
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("features.0.0", stem_);
    for (size_t i = 0; i < blocks_.size(); ++i) visitor.child(text("features.", i + 1), *blocks_[i]);
  }

  std::vector<Var> operator()(const Var& images, const Pass& pass) override {
    Var x = relu6(pass, stem_(images, pass, false));
    std::vector<Var> outputs;
    for (size_t i = 0; i < blocks_.size(); ++i) {
      x = (*blocks_[i])(x, pass);
      if (seen_[i]) outputs.push_back(x);
    }
    return outputs;
  }

 private:
  ConvNorm stem_;
  std::vector<std::unique_ptr<InvertedResidual>> blocks_;
  std::vector<bool> seen_;
};

}  // namespace

std::unique_ptr<Backbone> make_mobilenet_backbone(Device& device, DType type) {
  return std::make_unique<MobileNetBackbone>(device, type);
}

}  // namespace retort
