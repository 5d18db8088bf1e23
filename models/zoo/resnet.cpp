#include "models/zoo/resnet.h"

#include "models/zoo/stages.h"

namespace retort {

namespace {

ConvOptions conv(int kernel, int64_t out, int stride = 1) {
  return {.kernel = kernel, .stride = stride, .init = Init::he(kernel, out)};
}

struct Stage {
  int64_t width;
  int blocks;
  int stride;  // of the first block
};

struct Plan {
  int64_t stem;
  std::vector<Stage> stages;
  bool bottleneck;
  bool large_stem = false;  // 7x7 with stride 2 and, behind F0, a max pool 3x3 with stride 2; else 3x3
  const char* shortcut;     // what the state calls a block's shortcut; nullptr: option A, without parameters
  const char* classifier;   // and the linear layer

  int64_t expansion() const { return bottleneck ? 4 : 1; }
  int64_t features() const { return stages.back().width * expansion(); }
};

// Option A (section 3.3): every second pixel of x where the stride is 2, and zeros around its channels.
Var padded_shortcut(const Pass& pass, const Var& x, int stride, int64_t out) {
  const Var y = stride == 1 ? x : pool2d(pass, x, {Pool2dSpec::average, 1, stride, 0});
  return pad_columns(pass, y, (out - x.shape().last()) / 2, out);
}

// relu(F(x) + shortcut(x)). F, basic: 3x3, 3x3; bottleneck: 1x1, 3x3, 1x1 to 4 times the width; each with a
// batch norm, and a ReLU between them. Shortcut, where the shape changes: 1x1 and batch norm, or option A.
class ResidualBlock : public Module {
 public:
  ResidualBlock(Device& device, const Plan& plan, int64_t in, int64_t width, int stride, DType type)
      : stride_(stride), out_(width * plan.expansion()) {
    const int64_t out = out_;
    if (plan.bottleneck) {
      add_layer(device, in, conv(1, width), width, type);
      add_layer(device, width, conv(3, width, stride), width, type);
      add_layer(device, width, conv(1, out), out, type);
    } else {
      add_layer(device, in, conv(3, width, stride), width, type);
      add_layer(device, width, conv(3, width), width, type);
    }
    padded_ = !plan.shortcut && (stride != 1 || in != out);
    if (plan.shortcut && (stride != 1 || in != out)) {
      shortcut_ = std::make_unique<ConvBn>(device, text(plan.shortcut, ".0"), text(plan.shortcut, ".1"), in,
                                           out, conv(1, out, stride), type);
    }
  }

  void visit(Visitor& visitor) override {
    for (auto& layer : layers_) visitor.child("", *layer);
    if (shortcut_) visitor.child("", *shortcut_);
  }

  Var operator()(const Var& x, const Pass& pass, Var* pre_relu) {
    const Var residual = shortcut_ ? (*shortcut_)(x, pass, false)
                         : padded_ ? padded_shortcut(pass, x, stride_, out_)
                                   : x;
    Var inner = x;
    for (size_t i = 0; i + 1 < layers_.size(); ++i) inner = (*layers_[i])(inner, pass, true);
    if (!pre_relu) return (*layers_.back())(inner, pass, true, residual);
    *pre_relu = (*layers_.back())(inner, pass, false, residual);
    return relu(pass, *pre_relu);
  }

  const BatchNorm& last_norm() const { return layers_.back()->bn; }

 private:
  void add_layer(Device& device, int64_t in, const ConvOptions& options, int64_t out, DType type) {
    const size_t number = layers_.size() + 1;
    layers_.push_back(
        std::make_unique<ConvBn>(device, text("conv", number), text("bn", number), in, out, options, type));
  }

  std::vector<std::unique_ptr<ConvBn>> layers_;
  std::unique_ptr<ConvBn> shortcut_;
  bool padded_ = false;
  int stride_;
  int64_t out_;
};

class ResNet : public Model {
 public:
  ResNet(Device& device, const ModelOptions& options, const Plan& plan)
      : stem_(device, "conv1", "bn1", 3, plan.stem,
              plan.large_stem ? conv(7, plan.stem, 2) : conv(3, plan.stem), options.type),
        pools_stem_(plan.large_stem),
        classifier_name_(plan.classifier),
        classifier_(device, plan.features(), options.classes, Linear::fan_in(plan.features()), options.type) {
    int64_t in = plan.stem;
    for (const Stage& stage : plan.stages) {
      stages_.begin_stage();
      for (int i = 0; i < stage.blocks; ++i) {
        stages_.add_block(device, plan, in, stage.width, i == 0 ? stage.stride : 1, options.type);
        in = stage.width * plan.expansion();
      }
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("", stem_);
    visitor.child("", stages_);
    visitor.child(classifier_name_, classifier_);
  }

  Linear* classifier() override { return &classifier_; }
  std::vector<const BatchNorm*> stage_norms() const override {
    std::vector<const BatchNorm*> norms;
    for (const ResidualBlock* block : stages_.last_blocks()) norms.push_back(&block->last_norm());
    return norms;
  }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass, true);
    if (features) outputs.stages.push_back(x);
    if (pools_stem_) x = pool2d(pass, x, {Pool2dSpec::maximum, 3, 2, 1});
    x = stages_(x, pass, features, outputs);
    return classified(std::move(outputs), x, classifier_, pass, features);
  }

 private:
  ConvBn stem_;
  bool pools_stem_;
  Stages<ResidualBlock> stages_;
  std::string classifier_name_;
  Linear classifier_;
};

}  // namespace

std::unique_ptr<Model> make_cifar_resnet(Device& device, const ModelOptions& options, int depth, bool wide) {
  check(depth >= 8 && (depth - 2) % 6 == 0, "resnet: depth ", depth, ", expected 6n + 2");
  const int blocks = (depth - 2) / 6;
  const int64_t width = wide ? 64 : 16;
  const Plan plan = {.stem = wide ? 32 : 16,
                     .stages = {{width, blocks, 1}, {2 * width, blocks, 2}, {4 * width, blocks, 2}},
                     .bottleneck = false,
                     .shortcut = "downsample",
                     .classifier = "fc"};
  return std::make_unique<ResNet>(device, options, plan);
}

std::unique_ptr<Model> make_option_a_resnet(Device& device, const ModelOptions& options, int depth) {
  check(depth >= 8 && (depth - 2) % 6 == 0, "resnet: depth ", depth, ", expected 6n + 2");
  const int blocks = (depth - 2) / 6;
  const Plan plan = {.stem = 16,
                     .stages = {{16, blocks, 1}, {32, blocks, 2}, {64, blocks, 2}},
                     .bottleneck = false,
                     .shortcut = nullptr,
                     .classifier = "linear"};
  return std::make_unique<ResNet>(device, options, plan);
}

namespace {

// Table 1.
Plan plan_of(int depth, const char* shortcut, const char* classifier) {
  check(depth == 18 || depth == 34 || depth == 50 || depth == 101, "resnet: depth ", depth,
        ", expected 18, 34, 50 or 101");
  const bool shallow = depth == 18;
  const int third = shallow ? 2 : depth == 101 ? 23 : 6;
  return {.stem = 64,
          .stages = {{64, shallow ? 2 : 3, 1},
                     {128, shallow ? 2 : 4, 2},
                     {256, third, 2},
                     {512, shallow ? 2 : 3, 2}},
          .bottleneck = depth >= 50,
          .shortcut = shortcut,
          .classifier = classifier};
}

}  // namespace

std::unique_ptr<Model> make_resnet(Device& device, const ModelOptions& options, int depth) {
  return std::make_unique<ResNet>(device, options, plan_of(depth, "shortcut", "linear"));
}

std::unique_ptr<Model> make_imagenet_resnet(Device& device, const ModelOptions& options, int depth) {
  Plan plan = plan_of(depth, "downsample", "fc");
  plan.large_stem = true;
  return std::make_unique<ResNet>(device, options, plan);
}

}  // namespace retort
