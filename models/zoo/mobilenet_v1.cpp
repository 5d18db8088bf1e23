#include "models/zoo/mobilenet_v1.h"

#include "models/zoo/stages.h"

namespace retort {

namespace {

constexpr int64_t stem_width = 32;

struct Block {
  int64_t out;
  int stride;
  bool ends_a_stage = false;  // its output is a feature
};
constexpr Block plan[] = {{64, 1},        {128, 2},  {128, 1, true}, {256, 2}, {256, 1, true},
                          {512, 2},       {512, 1},  {512, 1},       {512, 1}, {512, 1},
                          {512, 1, true}, {1024, 2}, {1024, 1, true}};

ConvOptions conv(int kernel, int64_t in, int stride = 1, int64_t groups = 1) {
  return {.kernel = kernel,
          .stride = stride,
          .groups = int(groups),
          .init = Init::fan_in(in / groups * kernel * kernel)};
}

// relu(pointwise(relu(depthwise(x)))), each with its batch norm.
class SeparableBlock : public Module {
 public:
  SeparableBlock(Device& device, int64_t in, const Block& block, DType type)
      : depthwise_(device, "0", "1", in, in, conv(3, in, block.stride, in), type),
        pointwise_(device, "3", "4", in, block.out, conv(1, in), type) {}

  void visit(Visitor& visitor) override {
    visitor.child("", depthwise_);
    visitor.child("", pointwise_);
  }

  Var operator()(const Var& x, const Pass& pass, Var* pre_relu) {
    const Var inner = depthwise_(x, pass, true);
    if (!pre_relu) return pointwise_(inner, pass, true);
    *pre_relu = pointwise_(inner, pass, false);
    return relu(pass, *pre_relu);
  }

 private:
  ConvBn depthwise_, pointwise_;
};

class MobileNetV1 : public Model {
 public:
  MobileNetV1(Device& device, const ModelOptions& options)
      : stem_(device, "0", "1", 3, stem_width, conv(3, 3, 2), options.type),
        fc_(device, std::end(plan)[-1].out, options.classes, Linear::fan_in(std::end(plan)[-1].out),
            options.type) {
    int64_t in = stem_width;
    for (const Block& block : plan) {
      blocks_.push_back(std::make_unique<SeparableBlock>(device, in, block, options.type));
      in = block.out;
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("model.0", stem_);
    for (size_t i = 0; i < blocks_.size(); ++i) visitor.child(text("model.", i + 1), *blocks_[i]);
    visitor.child("fc", fc_);
  }

  Linear* classifier() override { return &fc_; }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass, true);
    if (features) outputs.stages.push_back(x);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      const bool is_feature = features && plan[i].ends_a_stage;
      Var pre;
      x = (*blocks_[i])(x, pass, is_feature ? &pre : nullptr);
      if (!is_feature) continue;
      outputs.stages.push_back(x);
      outputs.pre_relu.push_back(pre);
    }
    return classified(std::move(outputs), x, fc_, pass, features);
  }

 private:
  ConvBn stem_;
  std::vector<std::unique_ptr<SeparableBlock>> blocks_;
  Linear fc_;
};

}  // namespace

std::unique_ptr<Model> make_mobilenet_v1(Device& device, const ModelOptions& options) {
  return std::make_unique<MobileNetV1>(device, options);
}

}  // namespace retort
