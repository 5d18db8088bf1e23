// Weights in files of torch.save, both containers: the zip archive of PyTorch 1.6 and later, and the stream
// of pickles before it. The pickles are read as plain values (engine/base/pickle.h): nothing is executed.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "layers/formats/safetensors.h"

namespace retort {

// Begins like one of the two containers; the stream in any protocol of pickles.
bool looks_like_pytorch(std::span<const std::byte> file);

// The tensors of the state dict in the file, dense and row-major, of their own type; where several are found,
// and what `entry` ("ema/model") says, see find_state_dict(). What is no such tensor is left out, with the
// reason: of a type we lack, sparse, quantized, a numpy array, an object of any class. `name` stands for the
// file in messages. Fault::input for whatever is damaged, big-endian, or holds no weights. Takes about as
// much memory as the file, and at most 300 MiB more.
SafeTensors parse_pytorch(std::span<const std::byte> file, const std::string& name,
                          const std::string& entry = "");

}  // namespace retort
