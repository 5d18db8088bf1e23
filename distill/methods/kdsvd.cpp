// KDSVD: Lee, Kim, Song, "Self-supervised Knowledge Distillation Using Singular Value Decomposition", ECCV
// 2018, arXiv:1807.06819, as mdistiller and RepDistiller train it: one singular vector a map, singular values
// left out.
// Cost: +56.18 ms on kd (README.md).
#include "distill/methods/kdsvd.h"

#include <algorithm>

#include "distill/methods/batched_transpose.h"
#include "distill/methods/distiller.h"
#include "distill/methods/kdsvd_row.h"
#include "engine/types.h"

namespace retort {

Eigen symmetric_eigen(const Pass& pass, const Tensor& matrices) {
  check(matrices.shape.rank() == 3 && matrices.shape[1] == matrices.shape[2], "symmetric_eigen: matrices of ",
        matrices.shape, ", expected B,D,D");
  const int64_t blocks = matrices.shape[0], d = matrices.shape[1];
  const Var work = pass.make({blocks, 2, d * d}, matrices.type);
  Eigen eigen{pass.make({blocks, d}, matrices.type), pass.make(matrices.shape, matrices.type)};
  with_real_type(matrices.type, "symmetric_eigen", [&]<class T>() {
    launch_rows(pass.backend(),
                JacobiRow<T>{matrices.as<T>(), work.tensor().as<T>(), eigen.values.tensor().as<T>(),
                             eigen.vectors.tensor().as<T>(), d},
                blocks);
  });
  return eigen;
}

Var nearest_eigenvector(const Pass& pass, const Var& matrices, const Tensor& direction) {
  const Eigen eigen = symmetric_eigen(pass, matrices);
  const int64_t blocks = matrices.shape()[0], d = matrices.shape()[1];
  check(direction.shape == Shape({blocks, d}) && direction.type == matrices.type(),
        "nearest_eigenvector: matrices ", matrices.shape(), ", direction ", direction.shape);
  Var nearest = pass.make({blocks, d}, matrices.type());
  const Var choice = pass.make({blocks}, matrices.type());
  with_real_type(matrices.type(), "nearest_eigenvector", [&]<class T>() {
    launch_rows(pass.backend(),
                NearestVectorRow<T>{eigen.vectors.tensor().as<T>(), direction.as<T>(),
                                    nearest.tensor().as<T>(), choice.tensor().as<T>(), d},
                blocks);
  });
  pass.record("nearest_eigenvector", nearest, {matrices}, [eigen, choice, d](const Tensor& dy, Grads& g) {
    const Sink to = g.sink(0);
    with_real_type(dy.type, "nearest_eigenvector", [&]<class T>() {
      launch_rows(
          g.backend(),
          EigenvectorGradientRow<T>{eigen.values.tensor().as<T>(), eigen.vectors.tensor().as<T>(),
                                    choice.tensor().as<T>(), dy.as<T>(), to.to.as<T>(), d, to.accumulates()},
          dy.shape[0]);
    });
  });
  return nearest;
}

Var correlation_gap(const Pass& pass, const Var& a, const Var& b, const Tensor& teachers_a,
                    const Tensor& teachers_b) {
  const DType type = a.type();
  check(a.shape().rank() == 2 && b.shape().rank() == 2 && a.shape()[0] == b.shape()[0] &&
            teachers_a.shape == a.shape() && teachers_b.shape == b.shape(),
        "correlation_gap: ", a.shape(), " and ", b.shape(), ", the teacher's ", teachers_a.shape, " and ",
        teachers_b.shape);
  const int64_t rows = a.shape()[0];
  const Var per_row = pass.make({rows}, type);
  const Var da = a.requires_grad() ? pass.make(a.shape(), type) : Var();
  const Var db = b.requires_grad() ? pass.make(b.shape(), type) : Var();
  with_real_type(type, "correlation_gap", [&]<class T>() {
    launch_rows(pass.backend(),
                CorrelationGapRow<T>{.a = a.tensor().as<T>(),
                                     .b = b.tensor().as<T>(),
                                     .teachers_a = teachers_a.as<T>(),
                                     .teachers_b = teachers_b.as<T>(),
                                     .loss = per_row.tensor().as<T>(),
                                     .da = da ? da.tensor().as<T>() : nullptr,
                                     .db = db ? db.tensor().as<T>() : nullptr,
                                     .m = a.shape()[1],
                                     .n = b.shape()[1],
                                     .weight = T(1) / T(rows)},
                rows);
  });
  Var loss = pass.make({1}, type);
  pass.backend().reduce_sum(per_row, 1.0, loss);
  pass.record("correlation_gap", loss, {a, b}, [da, db](const Tensor& dy, Grads& g) {
    if (g.wants(0)) g.backend().binary(Binary::mul, da, dy, g.sink(0));
    if (g.wants(1)) g.backend().binary(Binary::mul, db, dy, g.sink(1));
  });
  return loss;
}

namespace {

// A map as a matrix of which the right singular vectors are taken: (channels x height) x width, or (height x
// width) x channels. Its transpose times itself: B,width,width, or B,channels,channels.
Var gram(const Pass& pass, const Var& map, bool of_channels) {
  const Shape& s = map.shape();
  const int64_t batch = s[0], height = s[1], width = s[2], channels = s[3];
  if (of_channels)
    return batched_gram(pass, batched_transpose(pass, reshape(pass, map, {batch, height * width, channels})));
  // Of each line of the map, then summed over the lines.
  const Var of_lines = batched_gram(pass, reshape(pass, map, {batch * height, width, channels}));
  const Var places = batched_transpose(pass, reshape(pass, of_lines, {batch, height, width * width}));
  const Var sums = sum_columns(pass, reshape(pass, places, {batch * width * width, height}));
  return reshape(pass, sums, {batch, width, width});
}

// Both networks' leading vectors of a stage: the teacher's first, and of the student's first four the nearest
// to it.
struct Directions {
  Var student, teacher;
};

class Kdsvd : public Distiller {
 public:
  Kdsvd(const MethodSettings& settings, Device& device, const MethodContext& context)
      : Distiller(settings, device),
        alpha_(settings.number("alpha")),
        of_channels_(settings.choice("matrix") == "channels") {
    const auto &student = context.student.stages, &teacher = context.teacher.stages;
    const int axis = of_channels_ ? 3 : 2;
    for (size_t i = 1; i < std::min(student.size(), teacher.size()); ++i) {  // 0 is the stem
      check(student[i][axis] == teacher[i][axis], Fault::usage, "method kdsvd: stage ", i,
            " of the student is ", student[i][axis], of_channels_ ? " channels wide" : " places wide",
            ", the teacher's ", teacher[i][axis],
            "; expected the same (nets of one family, or another method.matrix)");
    }
    check(std::min(student.size(), teacher.size()) > 2, Fault::usage,
          "method kdsvd relates two stages; one of the networks has only one");
  }

 protected:
  std::vector<LossTerm> compute(const DistillInputs& inputs, const Pass& pass) override {
    const auto &student = inputs.features.student.stages, &teacher = inputs.features.teacher.stages;
    Var sum;
    Directions before;
    for (size_t i = 1; i < std::min(student.size(), teacher.size()); ++i) {
      const Directions now = directions(pass, student[i], teacher[i]);
      if (i > 1) {
        const Var gap = correlation_gap(pass, now.student, before.student, now.teacher, before.teacher);
        sum = sum ? add(pass, sum, gap) : gap;
      }
      before = now;
    }
    return {{"kdsvd", weighted(pass, sum, alpha_)}};
  }

 private:
  Directions directions(const Pass& pass, const Var& student, const Var& teacher) const {
    const Pass constant{pass.device};
    const Var of_teacher = gram(constant, teacher, of_channels_);
    const int64_t batch = of_teacher.shape()[0], d = of_teacher.shape()[1];
    const Var vectors = symmetric_eigen(constant, of_teacher).vectors;
    const Var first = slice_columns(constant, reshape(constant, vectors, {batch, d * d}), 0, d);
    return {nearest_eigenvector(pass, gram(pass, student, of_channels_), first), first};
  }

  double alpha_;
  bool of_channels_;
};

}  // namespace

MethodInfo kdsvd_method() {
  std::vector<MethodKey> keys = weight_keys("1", "0");
  keys.push_back({"alpha", MethodKey::number, "1", "weight of the distillation term"});
  keys.push_back(
      {.name = "matrix",
       .kind = MethodKey::choice,
       .fallback = "sides",
       .help = "a map as (channels x height) x width, as in mdistiller, or (height x width) x channels",
       .choices = {"sides", "channels"}});
  return {"kdsvd",
          "Distillation by Singular Value Decomposition",
          "arXiv:1807.06819",
          {.features = true},
          keys,
          construct<Kdsvd>};
}

}  // namespace retort
