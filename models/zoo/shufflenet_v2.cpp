#include "models/zoo/shufflenet_v2.h"

#include "models/zoo/stages.h"

namespace retort {

namespace {

constexpr int64_t stem_width = 24, head_width = 1024;

struct Stage {
  int64_t out;
  int blocks;
};
constexpr Stage plan[] = {{116, 4}, {232, 8}, {464, 4}};

ConvOptions pointwise(int64_t in) {
  return {.kernel = 1, .init = Init::fan_in(in)};
}
ConvOptions depthwise(int64_t channels, int stride) {
  return {.kernel = 3, .stride = stride, .groups = int(channels), .init = Init::fan_in(9)};
}

// Figure 3 of the paper. Stride 1 (c): x is split in halves, the first passes, the second goes through the
// right branch. Stride 2 (d): all of x goes through both branches. Then the two are concatenated and
// shuffled.
class ShuffleV2Block : public Module {
 public:
  ShuffleV2Block(Device& device, int64_t in, int64_t out, int stride, DType type)
      : half_(out / 2),
        first_(device, name("conv", 1, stride), name("bn", 1, stride), stride == 2 ? in : half_, half_,
               pointwise(stride == 2 ? in : half_), type),
        depthwise_(device, name("conv", 2, stride), name("bn", 2, stride), half_, half_,
                   depthwise(half_, stride), type),
        last_(device, name("conv", 3, stride), name("bn", 3, stride), half_, half_, pointwise(half_), type) {
    if (stride == 1) return;
    left_depthwise_ = std::make_unique<ConvBn>(device, "conv1", "bn1", in, in, depthwise(in, stride), type);
    left_last_ = std::make_unique<ConvBn>(device, "conv2", "bn2", in, half_, pointwise(in), type);
  }

  void visit(Visitor& visitor) override {
    if (left_last_) {
      visitor.child("", *left_depthwise_);
      visitor.child("", *left_last_);
    }
    for (ConvBn* unit : {&first_, &depthwise_, &last_}) visitor.child("", *unit);
  }

  // pre_relu is not shuffled.
  Var operator()(const Var& x, const Pass& pass, Var* pre_relu) {
    Var left, right;
    if (left_last_) {
      left = (*left_last_)((*left_depthwise_)(x, pass, false), pass, true);
      right = x;
    } else {
      left = slice_columns(pass, x, 0, half_);
      right = slice_columns(pass, x, half_, half_);
    }
    right = last_(depthwise_(first_(right, pass, true), pass, false), pass, !pre_relu);
    Var both = concat_columns(pass, {left, right});
    if (pre_relu) {
      // The left half comes from a ReLU: another one leaves it as it is.
      *pre_relu = both;
      both = relu(pass, both);
    }
    return channel_shuffle(pass, both, 2);
  }

 private:
  // The right branch's layers come behind the two of the left one.
  static std::string name(const char* kind, int layer, int stride) {
    return text(kind, stride == 2 ? layer + 2 : layer);
  }

  int64_t half_;
  std::unique_ptr<ConvBn> left_depthwise_, left_last_;  // stride 2 only
  ConvBn first_, depthwise_, last_;                     // the right branch
};

class ShuffleV2 : public Model {
 public:
  ShuffleV2(Device& device, const ModelOptions& options)
      : stem_(device, "conv1", "bn1", 3, stem_width, pointwise(3), options.type),
        head_(device, "conv2", "bn2", std::end(plan)[-1].out, head_width, pointwise(std::end(plan)[-1].out),
              options.type),
        linear_(device, head_width, options.classes, Linear::fan_in(head_width), options.type) {
    int64_t in = stem_width;
    for (const Stage& stage : plan) {
      stages_.begin_stage();
      for (int i = 0; i < stage.blocks; ++i) {
        stages_.add_block(device, in, stage.out, i == 0 ? 2 : 1, options.type);
        in = stage.out;
      }
    }
  }

  void visit(Visitor& visitor) override {
    visitor.child("", stem_);
    visitor.child("", stages_);
    visitor.child("", head_);
    visitor.child("linear", linear_);
  }

  Linear* classifier() override { return &linear_; }
  Module* head() override { return &head_; }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass, true);
    if (features) outputs.stages.push_back(x);
    x = stages_(x, pass, features, outputs);
    const Var map = head_(x, pass, true);
    return classified(std::move(outputs), map, linear_, pass, features);
  }

 private:
  ConvBn stem_;
  Stages<ShuffleV2Block> stages_;
  ConvBn head_;
  Linear linear_;
};

}  // namespace

std::unique_ptr<Model> make_shufflenet_v2(Device& device, const ModelOptions& options) {
  return std::make_unique<ShuffleV2>(device, options);
}

}  // namespace retort
