// Where in a checkpoint the weights are.
#pragma once
#include <string>

#include "engine/base/pickle.h"

namespace retort {

// The tensor a value stands for, as the call that rebuilds it; nullptr if it is none. A parameter is its
// tensor.
const PickleValue* tensor_of(const Pickle& pickle, const PickleValue& value);

// The dict whose values are the tensors: the one at the path `entry` ("ema/model"), or the first found under
// the names that training programs use (state_dict, model, net, student, ...), or the root, or the only one
// under any other name. Fault::input, listing what there is, if there is none or no clear one.
const PickleValue& find_state_dict(const Pickle& pickle, const std::string& file, const std::string& entry);

}  // namespace retort
