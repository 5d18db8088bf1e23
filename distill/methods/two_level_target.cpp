#include "distill/methods/two_level_target.h"

#include "distill/methods/two_level_target_row.h"
#include "engine/ops/row_loss.h"

namespace retort {

Var two_level_loss(const Pass& pass, const char* name, const Var& logits, const Tensor& labels,
                   const TwoLevelTarget& target, bool divergence, double weight) {
  check(logits.shape().rank() == 2 && labels.type == DType::i32 && labels.size() == logits.shape()[0], name,
        ": logits ", logits.shape(), ", labels ", labels.shape, " ", labels.type,
        ", expected B,C and i32 of B");
  return row_loss(pass, name, logits, [&]<class T>(T* loss, T* gradient, T row_weight) {
    return TwoLevelTargetRow<T>{.logits = logits.tensor().as<T>(),
                                .labels = labels.as<int32_t>(),
                                .loss = loss,
                                .gradient = gradient,
                                .n = logits.shape()[1],
                                .on = T(target.on),
                                .off = T(target.off),
                                .log_on = T(target.log_on),
                                .log_off = T(target.log_off),
                                .divergence = divergence,
                                .weight = T(weight) * row_weight};
  });
}

}  // namespace retort
