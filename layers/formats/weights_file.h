// Weights in whatever file they come: safetensors, PyTorch's or detectron2's, told apart by their content;
// and names made ours.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "layers/formats/safetensors.h"

namespace retort {

// entry: which of several state dicts of a PyTorch file, see parse_pytorch(); of other files, what the names
// begin with. Fault::input if the file is not there, not sound, or of another kind, which it names.
SafeTensors read_weights_file(const std::filesystem::path& path, const std::string& entry = "");

// Takes off what torch.compile and parallel training put anywhere into names (_orig_mod., module.); a note
// says what.
void strip_transparent(SafeTensors& file);

// Takes off what training programs put around a network: strip_transparent(), and the prefix under which a
// network with its last layer lies (model., net., student., ...), averaged weights before others and a
// student before its teacher; tensors outside go. What was done becomes a note. Fault::input, naming them,
// where several networks are equally likely; `name` stands for the file.
void strip_prefixes(SafeTensors& file, const std::string& name);

// The tensor or module `name` is there.
bool has_name(const SafeTensors& file, const std::string& name);

// Renames the tensor `from`, or all under "from." to "to.". Fault::usage, naming the nearest, if there is
// none, or if the new name is taken.
void rename_tensors(SafeTensors& file, const std::string& from, const std::string& to);

// The last linear layer, whose bias has an element per class; nullptr if none is named as in our networks.
const HostTensor* bias_of_last_layer(const SafeTensors& file);
// "fc.weight" and the like.
bool is_of_last_layer(const std::string& name);

}  // namespace retort
