// SGD with Nesterov's momentum over flat tensors, cut into rows of nesterov_row_length numbers.
#pragma once
#include "engine/kernels/lanes.h"
#include "engine/kernels/loss_scale.h"

namespace retort {

constexpr int64_t nesterov_row_length = 4096;

// As torch.optim.SGD takes it (no dampening; Sutskever et al., 2013): g += wd w; v = momentum v + g;
// w -= lr (g + momentum v). With a loss scale's state g is multiplied by its factor first, and nothing
// happens where that is 0.
template <class T>
struct NesterovRow {
  static constexpr const char* name = "nesterov";
  T* w;
  const T* g;
  T* v;
  const double* learning_rate;
  const double* loss_scale;  // may be null
  int64_t numbers;
  T momentum, weight_decay;

  int64_t scratch_bytes() const { return 0; }
  template <class Lanes>
  RETORT_HD void operator()(Lanes& lanes, int64_t row) const {
    const T factor = loss_scale ? T(loss_scale[loss_scale_factor]) : T(1);
    if (factor == T(0)) return;
    const T rate = T(*learning_rate), m = momentum, decay = weight_decay;
    const int64_t first = row * nesterov_row_length, left = numbers - first;
    T *weights = w + first, *velocity = v + first;
    const T* gradient = g + first;
    lanes.each(left < nesterov_row_length ? left : nesterov_row_length, [=](int64_t i) {
      const T step = gradient[i] * factor + decay * weights[i];
      velocity[i] = m * velocity[i] + step;
      weights[i] -= rate * (step + m * velocity[i]);
    });
  }
};

}  // namespace retort
