// Makes the checksums of damaged files right, as somebody would who wants them to be believed.
#pragma once
#include <string>

namespace retort::fuzz {

// The length of the header and the hashes in it, as far as the file has places for them.
std::string repaired_safetensors(std::string file);

// JSON of a run or study whose object has a hash (distill/run/sealed.h), with the right one; else as it is.
// Fault::input as of parse_json().
std::string resealed_json(const std::string& content);

}  // namespace retort::fuzz
