// Rows of the op table for the distillation losses: every method with its defaults, and the ops they are made
// of.
#pragma once
#include "tests/engine/op_cases.h"

namespace retort {

void add_distillation_cases(std::vector<OpCase>& all);

}  // namespace retort
