// RLD: Sun, Chen, Lyu, Chen, Chen, Wang, "Knowledge Distillation with Refined Logits", arXiv:2408.07703.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo rld_method();

}  // namespace retort
