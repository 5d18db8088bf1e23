// DKD: Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", arXiv:2203.08679.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo dkd_method();

}  // namespace retort
