#include "models/zoo/vgg.h"

#include <array>

#include "models/zoo/stages.h"

namespace retort {

namespace {

constexpr std::array<int64_t, 5> widths = {64, 128, 256, 512, 512};

// Convolutions of each block.
std::array<int, 5> convolutions(int depth) {
  switch (depth) {
    case 8:
      return {1, 1, 1, 1, 1};
    case 11:
      return {1, 1, 2, 2, 2};
    case 13:
      return {2, 2, 2, 2, 2};
    case 16:
      return {2, 2, 3, 3, 3};
    case 19:
      return {2, 2, 4, 4, 4};
    default:
      fail(Fault::internal, "vgg: depth ", depth, ", expected 8, 11, 13, 16 or 19");
  }
}

class Vgg : public Model {
 public:
  Vgg(Device& device, const ModelOptions& options, int depth)
      : classifier_(device, widths.back(), options.classes, {Init::normal_of(0.01), Init::zeros()},
                    options.type) {
    const auto counts = convolutions(depth);
    int64_t in = 3;
    for (size_t k = 0; k < widths.size(); ++k) {
      auto& block = blocks_.emplace_back();
      for (int i = 0; i < counts[k]; ++i) {
        // A block is convolution, norm and ReLU in turn, numbered on.
        block.push_back(std::make_unique<ConvBn>(
            device, text(3 * i), text(3 * i + 1), in, widths[k],
            ConvOptions{.kernel = 3, .bias = true, .init = Init::he(3, widths[k])}, options.type));
        in = widths[k];
      }
    }
  }

  void visit(Visitor& visitor) override {
    for (size_t k = 0; k < blocks_.size(); ++k) {
      for (auto& unit : blocks_[k]) visitor.child(text("block", k), *unit);
    }
    visitor.child("classifier", classifier_);
  }

  Linear* classifier() override { return &classifier_; }
  std::vector<const BatchNorm*> stage_norms() const override {
    std::vector<const BatchNorm*> norms;
    for (size_t k = 1; k < blocks_.size(); ++k) norms.push_back(&blocks_[k].back()->bn);
    return norms;
  }

  Outputs forward(const Var& images, const Pass& pass, bool features) override {
    Outputs outputs;
    Var x = images;
    for (size_t k = 0; k < blocks_.size(); ++k) {
      for (auto& unit : blocks_[k]) {
        const bool wants_pre_relu = features && k > 0 && unit == blocks_[k].back();
        x = (*unit)(x, pass, !wants_pre_relu);
        if (!wants_pre_relu) continue;
        outputs.pre_relu.push_back(x);
        x = relu(pass, x);
      }
      if (features) outputs.stages.push_back(x);
      // Images of 64x64 are halved once more.
      if (k < 3 || (k == 3 && images.shape()[1] == 64)) x = pool2d(pass, x, {Pool2dSpec::maximum, 2, 2});
    }
    return classified(std::move(outputs), x, classifier_, pass, features);
  }

 private:
  std::vector<std::vector<std::unique_ptr<ConvBn>>> blocks_;
  Linear classifier_;
};

}  // namespace

std::unique_ptr<Model> make_vgg(Device& device, const ModelOptions& options, int depth) {
  return std::make_unique<Vgg>(device, options, depth);
}

}  // namespace retort
