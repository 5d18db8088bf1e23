#include <string>

#include "models/detection/backbone.h"
#include "models/detection/conv_norm.h"

namespace retort {

namespace {

ConvOptions conv(int kernel, int64_t out, int stride = 1) {
  return {.kernel = kernel, .stride = stride, .init = Init::he(kernel, out)};
}

// relu(F(x) + shortcut(x)); F, basic: 3x3, 3x3; bottleneck: 1x1, 3x3, 1x1 to 4 times the width.
class Block : public Module {
 public:
  Block(Device& device, const ResNetPlan& plan, int64_t in, int64_t width, int stride, DType type) {
    const bool bottleneck = plan.depth >= 50;
    const int64_t out = bottleneck ? 4 * width : width;
    const auto add = [&](int64_t from, int64_t to, int kernel, int step) {
      layers_.push_back(
          std::make_unique<ConvNorm>(device, from, to, conv(kernel, to, step), plan.frozen, type));
    };
    if (bottleneck) {
      add(in, width, 1, plan.stride_in_1x1 ? stride : 1);
      add(width, width, 3, plan.stride_in_1x1 ? 1 : stride);
      add(width, out, 1, 1);
    } else {
      add(in, width, 3, stride);
      add(width, width, 3, 1);
    }
    if (in != out || stride != 1)
      shortcut_ = std::make_unique<ConvNorm>(device, in, out, conv(1, out, stride), plan.frozen, type);
  }

  void visit(Visitor& visitor) override {
    if (shortcut_) visitor.child("shortcut", *shortcut_);
    for (size_t i = 0; i < layers_.size(); ++i) visitor.child(text("conv", i + 1), *layers_[i]);
  }

  Var operator()(const Var& x, const Pass& pass) {
    const Var residual = shortcut_ ? (*shortcut_)(x, pass, false) : x;
    Var inner = x;
    for (size_t i = 0; i + 1 < layers_.size(); ++i) inner = (*layers_[i])(inner, pass, true);
    return (*layers_.back())(inner, pass, true, residual);
  }

 private:
  std::vector<std::unique_ptr<ConvNorm>> layers_;
  std::unique_ptr<ConvNorm> shortcut_;
};

class ResNetBackbone : public Backbone {
 public:
  ResNetBackbone(Device& device, const ResNetPlan& plan, DType type)
      : stem_(device, 3, plan.width, conv(7, plan.width, 2), plan.frozen, type) {
    const bool bottleneck = plan.depth >= 50;
    const std::vector<int> counts = plan.depth == 18   ? std::vector<int>{2, 2, 2, 2}
                                    : plan.depth == 50 ? std::vector<int>{3, 4, 6, 3}
                                                       : std::vector<int>{3, 4, 23, 3};
    int64_t in = plan.width;
    for (size_t stage = 0; stage < counts.size(); ++stage) {
      const int64_t width = plan.width << stage;
      auto& blocks = stages_.emplace_back();
      for (int i = 0; i < counts[stage]; ++i) {
        blocks.push_back(std::make_unique<Block>(device, plan, in, width, i == 0 && stage > 0 ? 2 : 1, type));
        in = bottleneck ? 4 * width : width;
      }
      channels.push_back(in);
    }
    if (!plan.frozen) return;
    freeze(stem_);
    for (auto& block : stages_[0]) freeze(*block);
  }

  void visit(Visitor& visitor) override {
    visitor.child("stem.conv1", stem_);
    for (size_t s = 0; s < stages_.size(); ++s)
      for (size_t i = 0; i < stages_[s].size(); ++i)
        visitor.child(text("res", s + 2, ".", i), *stages_[s][i]);
  }

  std::vector<Var> operator()(const Var& images, const Pass& pass) override {
    Var x = pool2d(pass, stem_(images, pass, true), {Pool2dSpec::maximum, 3, 2, 1});
    std::vector<Var> outputs;
    for (auto& blocks : stages_) {
      for (auto& block : blocks) x = (*block)(x, pass);
      outputs.push_back(x);
    }
    return outputs;
  }

 private:
  ConvNorm stem_;
  std::vector<std::vector<std::unique_ptr<Block>>> stages_;
};

}  // namespace

std::unique_ptr<Backbone> make_resnet_backbone(Device& device, const ResNetPlan& plan, DType type) {
  check(plan.depth == 18 || plan.depth == 50 || plan.depth == 101, "resnet backbone: depth ", plan.depth,
        ", expected 18, 50 or 101");
  return std::make_unique<ResNetBackbone>(device, plan, type);
}

}  // namespace retort
