#include "models/resnet.h"

namespace retort {

namespace {

ConvOptions conv(int kernel, int64_t out, int stride = 1) {
  return {.kernel = kernel, .stride = stride, .init = Init::he(kernel, out)};
}

// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))
class BasicBlock : public Module {
 public:
  BasicBlock(Device& device, int64_t in, int64_t out, int stride, DType type)
      : first_(device, "conv1", "bn1", in, out, conv(3, out, stride), type),
        second_(device, "conv2", "bn2", out, out, conv(3, out), type) {
    if (stride != 1 || in != out) {
      shortcut_ = std::make_unique<ConvBn>(device, "downsample.0", "downsample.1", in, out,
                                           conv(1, out, stride), type);
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("", first_);
    visitor.child("", second_);
    if (shortcut_) visitor.child("", *shortcut_);
  }

  // Without the last ReLU if pre_relu is wanted: then both are returned.
  Var operator()(const Var& x, const Pass& pass, Var* pre_relu) {
    const Var residual = shortcut_ ? (*shortcut_)(x, pass, false) : x;
    const Var inner = first_(x, pass, true);
    if (!pre_relu) return second_(inner, pass, true, residual);
    *pre_relu = second_(inner, pass, false, residual);
    return relu(pass, *pre_relu);
  }

 private:
  ConvBn first_, second_;
  std::unique_ptr<ConvBn> shortcut_;
};

class CifarResNet : public Model {
 public:
  CifarResNet(Device& device, const ModelOptions& options, int depth, bool wide)
      : stem_(device, "conv1", "bn1", 3, wide ? 32 : 16, conv(3, wide ? 32 : 16), options.type),
        fc_(device, wide ? 256 : 64, options.classes,
            {Init::fan_in(wide ? 256 : 64), Init::fan_in(wide ? 256 : 64)}, options.type) {
    const int blocks = (depth - 2) / 6;
    int64_t in = wide ? 32 : 16;
    for (int stage = 0; stage < 3; ++stage) {
      const int64_t out = (wide ? 64 : 16) << stage;
      auto& list = stages_.emplace_back();
      for (int i = 0; i < blocks; ++i) {
        list.push_back(
            std::make_unique<BasicBlock>(device, in, out, stage > 0 && i == 0 ? 2 : 1, options.type));
        in = out;
      }
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("", stem_);
    for (size_t s = 0; s < stages_.size(); ++s) {
      for (size_t i = 0; i < stages_[s].size(); ++i) {
        visitor.child(text("layer", s + 1, ".", i), *stages_[s][i]);
      }
    }
    visitor.child("fc", fc_);
  }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass, true);
    if (features) outputs.stages.push_back(x);
    for (auto& stage : stages_) {
      for (auto& block : stage) {
        Var pre;
        const bool last = features && block == stage.back();
        x = (*block)(x, pass, last ? &pre : nullptr);
        if (last) outputs.pre_relu.push_back(pre);
      }
      if (features) outputs.stages.push_back(x);
    }
    const Var pooled = global_average_pool(pass, x);
    if (features) outputs.pooled = pooled;
    outputs.logits = fc_(pooled, pass);
    return outputs;
  }

 private:
  ConvBn stem_;
  std::vector<std::vector<std::unique_ptr<BasicBlock>>> stages_;
  Linear fc_;
};

}  // namespace

std::unique_ptr<Model> make_cifar_resnet(Device& device, const ModelOptions& options, int depth, bool wide) {
  check(depth >= 8 && (depth - 2) % 6 == 0, "resnet: depth ", depth, ", expected 6n + 2");
  return std::make_unique<CifarResNet>(device, options, depth, wide);
}

}  // namespace retort
