#include "distill/methods/at.h"

#include <algorithm>

#include "distill/methods/feature_pairs.h"

namespace retort {

namespace {

Var attention(const Pass& pass, const Var& map, int64_t height, int64_t width) {
  const bool larger = map.shape()[1] != height || map.shape()[2] != width;
  const Var x = larger ? adaptive_average_pool(pass, map, height, width) : map;
  const Var energy = sum_columns(pass, square(pass, x), 1.0 / double(x.shape()[3]));
  return normalize_rows(pass, reshape(pass, energy, {x.shape()[0], height * width}), 1e-12);
}

// alpha times the sum of attention_loss over the stages.
class At : public Distiller {
 public:
  At(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    return {{"at", weighted(pass, sum_over_stages(inputs, pass, attention_loss), alpha_)}};
  }

 private:
  double alpha_;
};

}  // namespace

Var attention_loss(const Pass& pass, const Var& student, const Var& teacher) {
  const Shape &s = student.shape(), &t = teacher.shape();
  check(s.rank() == 4 && t.rank() == 4 && s[0] == t[0], "attention_loss: maps of ", s, " and ", t,
        ", expected two of N,H,W,C");
  const int64_t height = std::min(s[1], t[1]), width = std::min(s[2], t[2]);
  return mean_all(pass, square(pass, sub(pass, attention(pass, student, height, width),
                                         attention(pass, teacher, height, width))));
}

MethodInfo at_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "1000", "weight of the distillation term"});
  return {"at", "Attention Transfer", "arXiv:1612.03928", {.features = true}, keys, construct<At>};
}

}  // namespace retort
