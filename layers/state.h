// A module's parameters and buffers by name, as files hold them: PyTorch's names and shapes (convolution
// weights O,I,kH,kW), f32 or f64.
#pragma once
#include <string>
#include <vector>

#include "layers/module.h"
#include "layers/safetensors.h"

namespace retort {

// Copies of all parameters and buffers, in the order of visiting.
std::vector<HostTensor> state_of(Module& module, Device& device);

// Sets all parameters and buffers from tensors of the same names and shapes. num_batches_tracked, which
// PyTorch stores, is ignored. Fault::input, naming `source`, listing missing, unexpected and mis-shaped
// names.
void load_state(Module& module, Device& device, const std::vector<HostTensor>& tensors,
                const std::string& source);

// One tensor in PyTorch's layout, as f32 or f64 like the tensor; and back from any real type.
HostTensor to_file(Device& device, const std::string& name, const Tensor& tensor);
void from_file(Device& device, const HostTensor& file, const Tensor& tensor);

}  // namespace retort
