// The learning rate of every step.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "distill/settings/settings.h"

namespace retort {

struct Schedule {
  enum Kind {
    multistep,  // base * factor^(number of milestones that are over)
    cosine,     // base * (1 + cos(pi t / T)) / 2, t of T steps behind the warm-up: torch's CosineAnnealingLR
  };
  double base = 0.05;
  std::vector<int> milestones = {150, 180, 210};  // over after so many epochs, or steps
  bool milestones_are_steps = false;
  double factor = 0.1;
  Kind kind = multistep;
  // The first steps' rates rise along a line from a thousandth of their value: torch's LinearLR(1e-3,
  // warmup_steps).
  int64_t warmup_steps = 0;
  // In epoch e < ramp the rate is e / ramp of itself; with the slip it stays short of one part up to the
  // first milestone: ScheduleSettings.
  int64_t ramp = 0;
  bool ramp_slip = false;
  int64_t steps_per_epoch = 1, epochs = 240;

  // step: of the epoch, from 0.
  double at(int epoch, int64_t step) const;
};

// For the user, where the warm-up outlasts the first milestone or the run: the rate is never the full one.
// Else empty.
std::string long_warmup_note(const Schedule& schedule);

// Of a run with so many batches in an epoch.
Schedule schedule_of(const RunSettings& settings, int64_t batches);

}  // namespace retort
