// PyTorch's container since version 1.6. First byte: odd, the input is the pickle in a sound archive with two
// storages; even, it is the archive itself.
#include "layers/formats/pytorch_file.h"
#include "tests/fuzz/target.h"
#include "tests/support/pytorch_writer.h"

namespace retort::fuzz {

void read_zip(Bytes bytes) {
  const bool pickle = take<uint8_t>(bytes) & 1;
  std::string file = text_of(bytes);
  if (pickle) {
    file = testing::zip_of({{"archive/data.pkl", file},
                            {"archive/byteorder", "little"},
                            {"archive/data/0", std::string(96, '\1')},
                            {"archive/data/1", std::string(32, '\2')},
                            {"archive/version", "3\n"}});
  }
  parse_pytorch(bytes_of(file), "input");
}

}  // namespace retort::fuzz
