#include "models/zoo/shufflenet_v1.h"

#include "models/zoo/stages.h"

namespace retort {

namespace {

constexpr int group_count = 3;
constexpr int64_t stem_width = 24;

struct Stage {
  int64_t out;
  int blocks;
};
constexpr Stage plan[] = {{240, 4}, {480, 8}, {960, 4}};

ConvOptions conv(int64_t in, int kernel, int stride = 1, int groups = 1) {
  return {.kernel = kernel,
          .stride = stride,
          .groups = groups,
          .init = Init::fan_in(in / groups * kernel * kernel)};
}

// branch = bn3(conv3(relu(bn2(depthwise(shuffle(relu(bn1(conv1(x)))))))))
// relu(branch + x), or with stride 2 relu([branch, average pool of x]).
class ShuffleV1Block : public Module {
 public:
  // With stride 2 the branch has the channels that x lacks.
  ShuffleV1Block(Device& device, int64_t in, int64_t out, int stride, DType type)
      : ShuffleV1Block(device, in, stride == 2 ? out - in : out, (stride == 2 ? out - in : out) / 4, stride,
                       in == stem_width ? 1 : group_count, type) {}

  void visit(Visitor& visitor) override {
    for (ConvBn* unit : {&first_, &depthwise_, &last_}) visitor.child("", *unit);
  }

  // Stride 2 gives no pre_relu: no stage ends with it.
  Var operator()(const Var& x, const Pass& pass, Var* pre_relu) {
    const Var inner = depthwise_(channel_shuffle(pass, first_(x, pass, true), first_groups_), pass, true);
    if (stride_ == 2) {
      // x comes from a ReLU: its averages need none.
      return concat_columns(pass,
                            {last_(inner, pass, true), pool2d(pass, x, {Pool2dSpec::average, 3, 2, 1})});
    }
    if (!pre_relu) return last_(inner, pass, true, x);
    *pre_relu = last_(inner, pass, false, x);
    return relu(pass, *pre_relu);
  }

 private:
  ShuffleV1Block(Device& device, int64_t in, int64_t branch, int64_t mid, int stride, int first_groups,
                 DType type)
      : first_(device, "conv1", "bn1", in, mid, conv(in, 1, 1, first_groups), type),
        depthwise_(device, "conv2", "bn2", mid, mid, conv(mid, 3, stride, int(mid)), type),
        last_(device, "conv3", "bn3", mid, branch, conv(mid, 1, 1, group_count), type),
        stride_(stride),
        first_groups_(first_groups) {}

  ConvBn first_, depthwise_, last_;
  int stride_, first_groups_;
};

class ShuffleV1 : public Model {
 public:
  ShuffleV1(Device& device, const ModelOptions& options)
      : stem_(device, "conv1", "bn1", 3, stem_width, conv(3, 1), options.type),
        linear_(device, std::end(plan)[-1].out, options.classes, Linear::fan_in(std::end(plan)[-1].out),
                options.type) {
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
    visitor.child("linear", linear_);
  }

  Linear* classifier() override { return &linear_; }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = stem_(images, pass, true);
    if (features) outputs.stages.push_back(x);
    x = stages_(x, pass, features, outputs);
    return classified(std::move(outputs), x, linear_, pass, features);
  }

 private:
  ConvBn stem_;
  Stages<ShuffleV1Block> stages_;
  Linear linear_;
};

}  // namespace

std::unique_ptr<Model> make_shufflenet_v1(Device& device, const ModelOptions& options) {
  return std::make_unique<ShuffleV1>(device, options);
}

}  // namespace retort
