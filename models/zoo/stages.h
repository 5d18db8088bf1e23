// Blocks in stages, the middle of most networks, named layer1.0, layer1.1, ..., layer2.0, ..., and the end of
// all.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "models/model.h"

namespace retort {

// Block is a Module with Var operator()(const Var& x, const Pass&, Var* pre_relu), which gives its output
// and, if pre_relu is not null, its value before the last ReLU.
template <class Block>
class Stages : public Module {
 public:
  void begin_stage() { stages_.emplace_back(); }
  template <class... Arguments>
  void add_block(Arguments&&... arguments) {
    stages_.back().push_back(std::make_unique<Block>(std::forward<Arguments>(arguments)...));
  }

  void visit(Visitor& visitor) override {
    for (size_t s = 0; s < stages_.size(); ++s) {
      for (size_t i = 0; i < stages_[s].size(); ++i) {
        visitor.child(text("layer", s + 1, ".", i), *stages_[s][i]);
      }
    }
  }

  // Of each stage.
  std::vector<const Block*> last_blocks() const {
    std::vector<const Block*> blocks;
    for (const auto& stage : stages_) blocks.push_back(stage.back().get());
    return blocks;
  }

  // The last stage's output. With features every stage's output and pre_relu go to `outputs`.
  Var operator()(Var x, const Pass& pass, bool features, Outputs& outputs) {
    for (auto& stage : stages_) {
      for (auto& block : stage) {
        const bool last = features && block == stage.back();
        Var pre;
        x = (*block)(x, pass, last ? &pre : nullptr);
        if (!last) continue;
        outputs.stages.push_back(x);
        outputs.pre_relu.push_back(pre);
      }
    }
    return x;
  }

 private:
  std::vector<std::vector<std::unique_ptr<Block>>> stages_;
};

// The outputs with what every network ends in: the last map's mean over its places, and the logits of it.
inline Outputs classified(Outputs outputs, const Var& map, Linear& classifier, const Pass& pass,
                          bool features) {
  const Var pooled = global_average_pool(pass, map);
  if (features) outputs.pooled = pooled, outputs.map = map;
  outputs.logits = classifier(pooled, pass);
  return outputs;
}

}  // namespace retort
