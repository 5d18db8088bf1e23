#include "engine/kernels/rows.h"
#include "engine/ops/ops.h"
#include "engine/ops/row_loss.h"
#include "engine/types.h"

namespace retort {

namespace {

Var softmax_family(const Pass& pass, const char* name, const Var& logits, double temperature,
                   bool logarithm_of_it) {
  check(logits.shape().rank() >= 1 && logits.shape().last() >= 1, name, ": logits have shape ",
        logits.shape());
  check(temperature > 0, name, ": temperature is ", temperature, ", expected more than 0");
  Var y = pass.make(logits.shape(), logits.type());
  const int64_t n = logits.shape().last();
  with_real_type(logits.type(), name, [&]<class T>() {
    launch_rows(
        pass.backend(),
        SoftmaxRow<T>{logits.tensor().as<T>(), y.tensor().as<T>(), n, T(1 / temperature), logarithm_of_it},
        logits.shape().rows());
  });
  pass.record(name, y, {logits}, [y, n, temperature, logarithm_of_it, name](const Tensor& dy, Grads& g) {
    const Sink dx = g.sink(0);
    with_real_type(dy.type, name, [&]<class T>() {
      launch_rows(g.backend(),
                  SoftmaxGradientRow<T>{y.tensor().as<T>(), dy.as<T>(), dx.to.as<T>(), n, T(1 / temperature),
                                        logarithm_of_it, dx.accumulates()},
                  dy.shape.rows());
    });
  });
  return y;
}

}  // namespace

Var softmax(const Pass& pass, const Var& logits, double temperature) {
  return softmax_family(pass, "softmax", logits, temperature, false);
}

Var log_softmax(const Pass& pass, const Var& logits, double temperature) {
  return softmax_family(pass, "log_softmax", logits, temperature, true);
}

Var cross_entropy(const Pass& pass, const Var& logits, const Tensor& labels) {
  check(logits.shape().rank() == 2 && labels.type == DType::i32 && labels.size() == logits.shape()[0],
        "cross_entropy: logits ", logits.shape(), ", labels ", labels.shape, " ", labels.type,
        ", expected B,C and i32 of B");
  return row_loss(pass, "cross_entropy", logits, [&]<class T>(T* loss, T* gradient, T weight) {
    return CrossEntropyRow<T>{
        logits.tensor().as<T>(), labels.as<int32_t>(), loss, gradient, logits.shape()[1], weight};
  });
}

Var kl_divergence(const Pass& pass, const Var& student, const Tensor& teacher, double temperature,
                  double weight) {
  check(student.shape().rank() == 2 && teacher.shape == student.shape() && teacher.type == student.type(),
        "kl_divergence: student ", student.shape(), ", teacher ", teacher.shape);
  check(temperature > 0, "kl_divergence: temperature is ", temperature, ", expected more than 0");
  return row_loss(pass, "kl_divergence", student, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return KlRow<T>{student.tensor().as<T>(), teacher.as<T>(),       loss, gradient, student.shape()[1],
                    T(1 / temperature),       T(weight) * row_weight};
  });
}

}  // namespace retort
