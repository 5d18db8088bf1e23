// NST: Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer",
// arXiv:1707.01219.
// Cost: +328.41 ms on kd (README.md).
#include "distill/methods/nst.h"

#include <algorithm>

#include "distill/methods/batched_transpose.h"
#include "distill/methods/distiller.h"
#include "distill/methods/feature_pairs.h"

namespace retort {

namespace {

// B,C,HW: each channel's map as a vector of length 1.
Var channel_maps(const Pass& pass, const Var& map) {
  const Shape& s = map.shape();
  const int64_t places = s[1] * s[2];
  const Var maps = batched_transpose(pass, reshape(pass, map, {s[0], places, s[3]}));
  return normalize_rows(pass, reshape(pass, maps, {s[0] * s[3], places}), 1e-12);
}

// alpha times the sum of selectivity_loss over the stages.
class Nst : public Distiller {
 public:
  Nst(const MethodSettings& settings, Device& device)
      : Distiller(settings, device), alpha_(settings.number("alpha")) {}

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const Var sum = sum_over_stages(inputs, pass, selectivity_loss);
    return {{"nst", weighted(pass, sum, alpha_)}};
  }

 private:
  double alpha_;
};

}  // namespace

Var selectivity_loss(const Pass& pass, const Var& student, const Var& teacher) {
  check(
      student.shape().rank() == 4 && teacher.shape().rank() == 4 && student.shape()[0] == teacher.shape()[0],
      "selectivity_loss: maps of ", student.shape(), " and ", teacher.shape(), ", expected two of N,H,W,C");
  const auto [s, t] = pooled_to_smaller(pass, student, teacher);
  const int64_t batch = s.shape()[0], places = s.shape()[1] * s.shape()[2];
  const int64_t cs = s.shape()[3], ct = t.shape()[3], all = cs + ct;
  // One product gives all three kernels: of the channels of both networks, one after the other.
  const Var maps = concat_columns(pass, {reshape(pass, channel_maps(pass, s), {batch, cs * places}),
                                         reshape(pass, channel_maps(pass, t), {batch, ct * places})});
  const Var gram = batched_gram(pass, reshape(pass, maps, {batch, all, places}));
  const Var kernel = reshape(pass, square(pass, gram), {batch * all, all});  // a row: one channel with all
  const Var with_student = sum_columns(pass, slice_columns(pass, kernel, 0, cs));
  const Var with_teacher = sum_columns(pass, slice_columns(pass, kernel, cs, ct));
  const Var rows = concat_columns(
      pass, {reshape(pass, with_student, {batch, all}), reshape(pass, with_teacher, {batch, all})});
  const auto mean = [&](int64_t first, int64_t count, double pairs, double sign) {
    return sum_all(pass, slice_columns(pass, rows, first, count), sign / (pairs * double(batch)));
  };
  const double s_width = double(cs), t_width = double(ct);
  const Var of_student = mean(0, cs, s_width * s_width, 1);
  const Var across = mean(cs, ct, s_width * t_width, -2);  // teacher's channels with the student's
  const Var of_teacher = mean(all + cs, ct, t_width * t_width, 1);
  return add(pass, add(pass, of_student, across), of_teacher);
}

MethodInfo nst_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "50", "weight of the distillation term"});
  return {"nst", "Neuron Selectivity Transfer", "arXiv:1707.01219", {.features = true}, keys, construct<Nst>};
}

}  // namespace retort
