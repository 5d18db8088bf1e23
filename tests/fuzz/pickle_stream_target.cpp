// PyTorch's container before version 1.6: pickles one behind the other, then raw data.
#include "layers/formats/pytorch_file.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_pickle_stream(Bytes bytes) {
  std::string file = text_of(bytes);
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
  for (size_t i = 0; i < magic.size() && i < file.size(); ++i) file[i] = magic[i];
  parse_pytorch(bytes_of(file), "input");
}

}  // namespace retort::fuzz
