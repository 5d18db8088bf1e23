// ce: the student alone, trained with the labels only; what distillation is compared with.
#pragma once
#include "distill/methods/method_settings.h"

namespace retort {

MethodInfo student_alone_method();

}  // namespace retort
