#include "models/zoo/mobilenet_v2.h"

#include "models/zoo/stages.h"

namespace retort {

namespace {

constexpr int64_t stem_width = 16, head_width = 1280;

struct Group {
  int expansion;
  int64_t out;
  int blocks;
  int stride;       // of the first block
  bool is_a_stage;  // its output is a feature
};
constexpr Group plan[] = {{1, 8, 1, 1, false},  {6, 12, 2, 1, true}, {6, 16, 3, 2, true},
                          {6, 32, 4, 2, false}, {6, 48, 3, 1, true}, {6, 80, 3, 2, false},
                          {6, 160, 1, 1, true}};

ConvOptions conv(int kernel, int64_t out, int stride = 1, int groups = 1) {
  return {.kernel = kernel, .stride = stride, .groups = groups, .init = Init::he(kernel, out)};
}

// The linear bottleneck: project(depthwise(expand(x))), + x where the shape stays.
class InvertedResidual : public Module {
 public:
  InvertedResidual(Device& device, int64_t in, int64_t out, int stride, int expansion, DType type)
      : expand_(device, "0", "1", in, in * expansion, conv(1, in * expansion), type),
        depthwise_(device, "3", "4", in * expansion, in * expansion,
                   conv(3, in * expansion, stride, int(in) * expansion), type),
        project_(device, "6", "7", in * expansion, out, conv(1, out), type),
        residual_(stride == 1 && in == out) {}

  void visit(Visitor& visitor) override {
    for (ConvBn* unit : {&expand_, &depthwise_, &project_}) visitor.child("conv", *unit);
  }

  Var operator()(const Var& x, const Pass& pass) {
    const Var inner = depthwise_(expand_(x, pass, true), pass, true);
    return project_(inner, pass, false, residual_ ? x : Var());
  }

 private:
  ConvBn expand_, depthwise_, project_;
  bool residual_;
};

class MobileNetV2 : public Model {
 public:
  MobileNetV2(Device& device, const ModelOptions& options)
      : stem_(device, "0", "1", 3, stem_width, conv(3, stem_width, 2), options.type),
        head_(device, "0", "1", std::end(plan)[-1].out, head_width, conv(1, head_width), options.type),
        classifier_(device, head_width, options.classes, {Init::normal_of(0.01), Init::zeros()},
                    options.type) {
    int64_t in = stem_width;
    for (const Group& group : plan) {
      auto& blocks = groups_.emplace_back();
      for (int i = 0; i < group.blocks; ++i) {
        blocks.push_back(std::make_unique<InvertedResidual>(device, in, group.out, i == 0 ? group.stride : 1,
                                                            group.expansion, options.type));
        in = group.out;
      }
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("conv1", stem_);
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (size_t i = 0; i < groups_[g].size(); ++i)
        visitor.child(text("blocks.", g, ".", i), *groups_[g][i]);
    }
    visitor.child("conv2", head_);
    visitor.child("classifier.0", classifier_);
  }

  // The stages are linear: there is no pre_relu.
  Linear* classifier() override { return &classifier_; }
  Module* head() override { return &head_; }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass, true);
    if (features) outputs.stages.push_back(x);
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (auto& block : groups_[g]) x = (*block)(x, pass);
      if (features && plan[g].is_a_stage) outputs.stages.push_back(x);
    }
    const Var map = head_(x, pass, true);
    return classified(std::move(outputs), map, classifier_, pass, features);
  }

 private:
  ConvBn stem_;
  std::vector<std::vector<std::unique_ptr<InvertedResidual>>> groups_;
  ConvBn head_;
  Linear classifier_;
};

}  // namespace

std::unique_ptr<Model> make_mobilenet_v2(Device& device, const ModelOptions& options) {
  return std::make_unique<MobileNetV2>(device, options);
}

}  // namespace retort
