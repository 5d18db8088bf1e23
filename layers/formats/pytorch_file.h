// Weights in files of torch.save, both containers: the zip archive of PyTorch 1.6 and later, and the stream
// of pickles before it. The pickles are read as plain values (engine/base/pickle.h): nothing is executed.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "layers/formats/safetensors.h"

namespace retort {

// Begins like one of the two containers, or like a bare pickle.
bool looks_like_pytorch(std::span<const std::byte> file);

// The tensors of the state dict in the file, dense and row-major, of their own type. Nested dicts are
// searched for it: under state_dict, model, net, student and the like first, then under any other name; where
// several are found, `entry` ("ema/model") has to say which. Entries that are no tensors are left out. `name`
// stands for the file in messages. Fault::input for whatever is damaged, big-endian, or asks for a call that
// weights do not need. Takes about as much memory as the file, and at most 300 MiB more.
SafeTensors parse_pytorch(std::span<const std::byte> file, const std::string& name,
                          const std::string& entry = "");

}  // namespace retort
