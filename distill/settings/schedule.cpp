#include "distill/settings/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retort {

double Schedule::at(int epoch, int64_t step) const {
  const int64_t now = int64_t(epoch - 1) * steps_per_epoch + step;
  double rate = base;
  bool lowered = false;
  if (kind == cosine) {
    const double all = double(std::max<int64_t>(steps_per_epoch * epochs - warmup_steps, 1));
    const double done = std::clamp(double(now - warmup_steps) / all, 0.0, 1.0);
    rate *= (1 + std::cos(std::numbers::pi * done)) / 2;
  } else {
    for (const int milestone : milestones) {
      if (milestones_are_steps ? now < milestone : epoch <= milestone) continue;
      rate *= factor;
      lowered = true;
    }
  }
  if (ramp > 1 && (epoch < ramp || (ramp_slip && !lowered)))
    rate *= double(std::min<int64_t>(epoch, ramp - 1)) / double(ramp);
  if (now >= warmup_steps) return rate;
  constexpr double start = 1e-3;
  return rate * (start + (1 - start) * double(now) / double(warmup_steps));
}

Schedule schedule_of(const RunSettings& settings, int64_t batches) {
  return {.base = settings.optimizer.lr,
          .milestones = settings.schedule.milestones.value_or(std::vector<int>{}),
          .milestones_are_steps = settings.schedule.steps > 0,
          .factor = settings.schedule.factor,
          .kind = settings.schedule.kind == "cosine" ? Schedule::cosine : Schedule::multistep,
          .warmup_steps = settings.schedule.warmup_steps,
          .ramp = settings.schedule.ramp,
          .ramp_slip = settings.schedule.ramp_slip,
          .steps_per_epoch = batches,
          .epochs = settings.epochs};
}

}  // namespace retort
