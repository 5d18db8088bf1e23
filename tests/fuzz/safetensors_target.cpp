// Weights: a safetensors file whose header's length and hashes are right.
#include "layers/formats/safetensors.h"

#include "tests/fuzz/repair.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_safetensors(Bytes bytes) {
  const std::string file = repaired_safetensors(text_of(bytes));
  parse_safetensors(bytes_of(file), "input");
}

}  // namespace retort::fuzz
