// FitNets: Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets",
// arXiv:1412.6550, as mdistiller trains it: the hint in the loss from the first epoch on.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo fitnet_method();

}  // namespace retort
