// Dynamic loss scaling, for gradients that would be lost below the smallest f16 number: the loss is
// multiplied by a scale, the gradients are divided by it before they are used. Where they overflowed, the
// step is skipped and the scale halved; after many good steps it is doubled. Micikevicius et al.,
// arXiv:1710.03740, section 3.2; numbers as in PyTorch's torch.amp.GradScaler. Powers of two, so that scaling
// changes no digit.
#pragma once
#include "engine/kernels/host_device.h"

namespace retort {

// The state is f64 numbers in device memory, so that it moves without the host.
enum LossScaleState {
  loss_scale_value,       // what the next loss is multiplied by
  loss_scale_steps,       // good steps since it last changed
  loss_scale_factor,      // what the present gradients are multiplied by: 1 / scale, or 0: skip the step
  loss_scale_not_finite,  // 1 where a gradient was found that is not finite; 0 between steps
  loss_scale_numbers,
};

constexpr double first_loss_scale = 65536, largest_loss_scale = 16777216;
constexpr double steps_until_loss_scale_grows = 2000;

// After loss_scale_not_finite was set from the gradients.
RETORT_HD void update_loss_scale(double* state) {
  const bool finite = state[loss_scale_not_finite] == 0;
  state[loss_scale_not_finite] = 0;
  double& scale = state[loss_scale_value];
  state[loss_scale_factor] = finite ? 1 / scale : 0;
  if (!finite) {
    scale = scale > 2 ? scale / 2 : 1;
    state[loss_scale_steps] = 0;
  } else if (++state[loss_scale_steps] >= steps_until_loss_scale_grows) {
    scale = scale < largest_loss_scale ? scale * 2 : scale;
    state[loss_scale_steps] = 0;
  }
}

// Whether a number is neither infinite nor NaN.
template <class T>
RETORT_HD bool is_finite(T x) {
  return x - x == T(0);
}

}  // namespace retort
