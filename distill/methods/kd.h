// KD: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo kd_method();

}  // namespace retort
