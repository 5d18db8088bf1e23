// The distillation methods by name.
#pragma once
#include "distill/methods/distiller.h"
#include "distill/methods/method_settings.h"

namespace retort {

// All of them, in the order in which a help text shows them. To add one: a file with its MethodInfo, a line
// in registry.cpp.
const std::vector<MethodInfo>& methods();

// Null if there is none of that name.
const MethodInfo* find_method(const std::string& name);

// The method's defaults. Error(Fault::usage), naming the nearest method, if there is none of that name.
MethodSettings method_settings(const std::string& name);

// What the method learns and remembers is not initialised yet where it is random, see initialize().
std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device,
                                          const MethodContext& context);

// For a method that needs to know nothing of the run. type: of the logits, and of what the method learns.
std::unique_ptr<Distiller> make_distiller(const MethodSettings& settings, Device& device,
                                          DType type = DType::f32);

}  // namespace retort
