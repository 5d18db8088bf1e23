// Weights as pickles of numpy arrays by name: detectron2's model zoo (.pkl), and Detectron's before it.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "layers/formats/safetensors.h"

namespace retort {

// The arrays of the dict in the file, or of the dict under "model" or "blobs" in it, of their own type; names
// that begin with "ENTRY." alone, without it, where an entry is given. Nothing is executed
// (engine/base/pickle.h). What is no array, or of a type that we lack, is left out with the reason.
// Fault::input, naming file and array, for whatever is damaged, big-endian, of objects, or holds no arrays.
// Takes about twice the file's memory.
SafeTensors parse_numpy_pickle(std::span<const std::byte> file, const std::string& name,
                               const std::string& entry = "");

}  // namespace retort
