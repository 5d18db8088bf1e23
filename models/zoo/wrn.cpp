#include "models/zoo/wrn.h"

#include "models/zoo/stages.h"

namespace retort {

namespace {

ConvOptions conv(int kernel, int64_t out, int stride = 1) {
  return {.kernel = kernel, .stride = stride, .init = Init::he(kernel, out)};
}

// a = relu(bn1(x)); y = conv2(relu(bn2(conv1(a)))) + (convShortcut(a), or x where the width stays).
class PreActivationBlock : public Module {
 public:
  PreActivationBlock(Device& device, int64_t in, int64_t out, int stride, DType type)
      : bn1(device, in, type),
        first_(device, "conv1", "bn2", in, out, conv(3, out, stride), type),
        second_(device, out, out, conv(3, out), type) {
    if (in != out) shortcut_ = std::make_unique<Conv2d>(device, in, out, conv(1, out, stride), type);
  }

  void visit(Visitor& visitor) override {
    visitor.child("bn1", bn1);
    visitor.child("", first_);
    visitor.child("conv2", second_);
    if (shortcut_) visitor.child("convShortcut", *shortcut_);
  }

  // x and a of the formula above.
  Var operator()(const Var& x, const Var& a, const Pass& pass) {
    const Var residual = shortcut_ ? (*shortcut_)(a, pass) : x;
    return second_(first_(a, pass, true), pass, residual);
  }

  BatchNorm bn1;

 private:
  ConvBn first_;
  Conv2d second_;
  std::unique_ptr<Conv2d> shortcut_;
};

class WideResNet : public Model {
 public:
  WideResNet(Device& device, const ModelOptions& options, int depth, int width)
      : stem_(device, 3, 16, conv(3, 16), options.type),
        bn_(device, 64 * width, options.type),
        fc_(device, 64 * width, options.classes, {Init::fan_in(64 * width), Init::zeros()}, options.type) {
    int64_t in = 16;
    for (int g = 0; g < 3; ++g) {
      const int64_t out = (16 * width) << g;
      auto& group = groups_.emplace_back();
      for (int i = 0; i < (depth - 4) / 6; ++i) {
        const int stride = g > 0 && i == 0 ? 2 : 1;
        group.push_back(std::make_unique<PreActivationBlock>(device, in, out, stride, options.type));
        in = out;
      }
    }
    if (options.double_batch_norm) {
      // Two updates r <- 0.9 r + 0.1 b with the same b are one with 1 - 0.9^2.
      for (BatchNorm* norm : {&groups_[1][0]->bn1, &groups_[2][0]->bn1, &bn_}) norm->momentum = 0.19;
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("conv1", stem_);
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (size_t i = 0; i < groups_[g].size(); ++i) {
        visitor.child(text("block", g + 1, ".layer.", i), *groups_[g][i]);
      }
    }
    visitor.child("bn1", bn_);
    visitor.child("fc", fc_);
  }

  Linear* classifier() override { return &fc_; }
  std::vector<const BatchNorm*> stage_norms() const override {
    return {&groups_[1][0]->bn1, &groups_[2][0]->bn1, &bn_};
  }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass);
    // relu(norm(x)). The norm behind a stage is the next stage's first, and its value that stage's pre_relu.
    auto activated = [&](BatchNorm& norm, bool behind_stage) {
      if (!features || !behind_stage) return norm(x, pass, true);
      outputs.pre_relu.push_back(norm(x, pass));
      return relu(pass, outputs.pre_relu.back());
    };
    if (features) outputs.stages.push_back(x);
    for (auto& group : groups_) {
      for (auto& block : group) {
        const Var a = activated(block->bn1, block == group.front() && &group != &groups_.front());
        x = (*block)(x, a, pass);
      }
      if (features) outputs.stages.push_back(x);
    }
    const Var map = activated(bn_, true);
    return classified(std::move(outputs), map, fc_, pass, features);
  }

 private:
  Conv2d stem_;
  std::vector<std::vector<std::unique_ptr<PreActivationBlock>>> groups_;
  BatchNorm bn_;
  Linear fc_;
};

}  // namespace

std::unique_ptr<Model> make_wrn(Device& device, const ModelOptions& options, int depth, int width) {
  check(depth >= 10 && (depth - 4) % 6 == 0 && width >= 1, "wrn: depth ", depth, ", width ", width,
        ", expected 6n + 4 and 1 or more");
  return std::make_unique<WideResNet>(device, options, depth, width);
}

}  // namespace retort
