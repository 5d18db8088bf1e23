// A convolution and its norm, frozen as detectors on ImageNet's weights have them, or live.
#pragma once
#include <memory>

#include "models/detection/frozen_conv.h"

namespace retort {

// relu?(norm(conv(x)) + add): parameter weight, norm.* behind it, as detectron2 names them.
class ConvNorm : public Module {
 public:
  ConvNorm(Device& device, int64_t in, int64_t out, const ConvOptions& options, bool frozen, DType type) {
    if (frozen)
      frozen_ = std::make_unique<FrozenConv>(device, in, out, options, type);
    else
      live_ = std::make_unique<ConvBn>(device, "", "norm", in, out, options, type);
  }
  void visit(Visitor& visitor) override {
    if (frozen_)
      visitor.child("", *frozen_);
    else
      visitor.child("", *live_);
  }
  Var operator()(const Var& x, const Pass& pass, bool relu, const Var& add = {}) {
    return frozen_ ? (*frozen_)(x, pass, relu, add) : (*live_)(x, pass, relu, add);
  }

 private:
  std::unique_ptr<FrozenConv> frozen_;
  std::unique_ptr<ConvBn> live_;
};

}  // namespace retort
