// Makes the checksums of damaged files right, as somebody would who wants them to be believed.
#pragma once
#include <string>

namespace retort::fuzz {

// The length of the header and the hashes in it, as far as the file has places for them.
std::string repaired_safetensors(std::string file);

}  // namespace retort::fuzz
