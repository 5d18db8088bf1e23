// Networks from outside this library, added before anything asks for a network; from then on as all others.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"

namespace retort {

// Returns the network with its parameters not initialised, as those of models/zoo do; name and classes are
// filled in.
using ModelMaker = std::function<std::unique_ptr<Model>(Device& device, const ModelOptions& options)>;

// Error(Fault::internal) if the networks have been asked for already, or name or make is empty. A name that
// is there already is found when they are: see model_names().
void add_model(const std::string& name, ModelMaker make);

// In the order in which they were added; from now on no more can be. For the registry.
const std::vector<std::pair<std::string, ModelMaker>>& added_models();

}  // namespace retort
