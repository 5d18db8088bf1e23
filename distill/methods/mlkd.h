// MLKD: Jin, Wang, Lin, "Multi-Level Logit Distillation", CVPR 2023.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo mlkd_method();

}  // namespace retort
