#include "distill/settings/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/base/check.h"
#include "engine/base/file.h"

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

std::string long_warmup_note(const Schedule& schedule) {
  const int64_t run = schedule.steps_per_epoch * schedule.epochs;
  int64_t first = run;
  if (schedule.kind == Schedule::multistep && !schedule.milestones.empty())
    first = std::min(first, int64_t(schedule.milestones.front()) *
                                (schedule.milestones_are_steps ? 1 : schedule.steps_per_epoch));
  if (schedule.warmup_steps == 0 || schedule.warmup_steps < first) return "";
  const std::string what =
      text("lr rises over ", with_commas(schedule.warmup_steps), " steps (schedule.warmup_steps), and ");
  if (first == run) return what + text("the run has ", with_commas(run), ": it does not reach the full rate");
  return what + text("is lowered after ", with_commas(first), ": it does not reach the full rate");
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
