// NKD: Yang, Zeng, Li, Zhang, Yuan, Li, "From Knowledge Distillation to Self-Knowledge Distillation: A
// Unified Approach with Normalized Loss and Customized Soft Labels", arXiv:2303.13005.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo nkd_method();

}  // namespace retort
