// A module's parameters and buffers by name, as files hold them: PyTorch's names and shapes (convolution
// weights O,I,kH,kW), in any float type.
#pragma once
#include <string>
#include <vector>

#include "layers/formats/safetensors.h"
#include "layers/module.h"

namespace retort {

// Copies of all parameters and buffers, in the order of visiting.
std::vector<HostTensor> state_of(Module& module, Device& device);

// How tensors' names and shapes fit a module's. num_batches_tracked, which PyTorch stores, is ignored.
struct StateFit {
  std::vector<std::string> missing, unexpected;
  std::vector<std::string> misshaped;  // "NAME is [..], expected [..]"
  std::vector<std::string> counters;   // of one element, which no layer's weights have: not wanted, no matter
  int64_t taken = 0;                   // parameters' and buffers' elements that were set
  bool complete() const { return missing.empty() && unexpected.empty() && misshaped.empty(); }
};

// Sets the parameters and buffers for which there is a tensor of the same name and shape; the others stay as
// they are. Fault::input, naming `source` and the tensor or layer, if numbers, or what follows from them
// (check_derived), are not finite.
StateFit load_what_fits(Module& module, Device& device, const std::vector<HostTensor>& tensors,
                        const std::string& source);

// Of a file that others wrote counters are no matter, in one of ours they are state of something else.
enum class Writer { others, ours };

// Sets all parameters and buffers from tensors of the same names and shapes. Fault::input, naming `source`,
// listing missing, unexpected and mis-shaped names, and the nearest ones, and as load_what_fits().
void load_state(Module& module, Device& device, const std::vector<HostTensor>& tensors,
                const std::string& source, Writer writer = Writer::others);

// Fault::input if one of those that the module has was left out when the file was read: its reason.
void check_not_left_out(Module& module, const std::vector<SafeTensors::LeftOut>& left_out,
                        const std::string& source);

// One tensor in PyTorch's layout, as f32 or f64 like the tensor; and back from any float type.
HostTensor to_file(Device& device, const std::string& name, const Tensor& tensor);
void from_file(Device& device, const HostTensor& file, const Tensor& tensor);

}  // namespace retort
