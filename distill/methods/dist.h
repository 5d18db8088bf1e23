// DIST: Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger Teacher", arXiv:2205.10536.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo dist_method();

}  // namespace retort
