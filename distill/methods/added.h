// Methods from outside this library: a program adds its own before anything asks for a method, and they are
// methods as all others, in settings, recipes, studies, reports and checkpoints. See
// tests/examples/own_program.cpp.
#pragma once
#include <vector>

#include "distill/methods/method_settings.h"

namespace retort {

// Error(Fault::internal) if the methods have been asked for already, the name is not lower case letters,
// digits and hyphens, make is null, or a key does not take its own default. A name that is there already is
// found when the methods are asked for: see methods().
void add_method(MethodInfo method);

// In the order in which they were added; from now on no more can be. For the registry.
const std::vector<MethodInfo>& added_methods();

}  // namespace retort
