#include "distill/methods/edited_kl.h"

#include "distill/methods/edited_kl_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

Var edited_kl(const Pass& pass, const Var& student, const Tensor& target, const Tensor& labels,
              TargetEdit edit, double temperature, double weight) {
  check(student.shape().rank() == 2 && target.shape == student.shape() && target.type == student.type() &&
            labels.type == DType::i32 && labels.size() == student.shape()[0],
        "edited_kl: student ", student.shape(), ", target ", target.shape, ", labels ", labels.shape, " ",
        labels.type, ", expected B,C twice and i32 of B");
  return row_loss(pass, "edited_kl", student, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return EditedKlRow<T>{.student = student.tensor().as<T>(),
                          .target = target.as<T>(),
                          .labels = labels.as<int32_t>(),
                          .loss = loss,
                          .gradient = gradient,
                          .n = student.shape()[1],
                          .raise = edit == TargetEdit::raise_by_largest,
                          .inverse_temperature = T(1 / temperature),
                          .weight = T(weight) * row_weight};
  });
}

}  // namespace retort
