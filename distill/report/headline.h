// The picture under which a report is passed on: what came out, at a glance.
#pragma once
#include <optional>

#include "distill/report/sketch.h"
#include "distill/study/results.h"

namespace retort {

// 1200 x 630, as previews of links want it: for each method its mean difference to plain KD at the last epoch
// as a dot, with its 95 % interval where there is one; where nothing is compared with KD, the mean score with
// its interval. Of several pairs the one with the most seeds that count. Nothing if no run has finished.
std::optional<Sketch> headline(const Results& results);

}  // namespace retort
