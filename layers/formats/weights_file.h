// Weights in whatever file they come: safetensors or PyTorch's, told apart by their content; and names made
// ours.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "layers/formats/safetensors.h"

namespace retort {

// entry: which of several state dicts of a PyTorch file, see parse_pytorch(). Fault::input if the file is not
// there or not sound.
SafeTensors read_weights_file(const std::filesystem::path& path, const std::string& entry = "");

// Takes off what training programs put before every name (module., model., net., ...), and where a student
// stands beside its teacher ("student.", "teacher."), keeps the student's tensors. Returns what was done, for
// the user; empty if nothing was.
std::vector<std::string> strip_prefixes(std::vector<HostTensor>& tensors);

// Renames the tensor `from`, or all under "from." to "to.". Fault::usage, naming the nearest, if there is
// none, or if the new name is taken.
void rename_tensors(std::vector<HostTensor>& tensors, const std::string& from, const std::string& to);

}  // namespace retort
