// Arrays: the length of the header is right for its last line, where there is one.
#include "datasets/formats/npy.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_npy(Bytes bytes) {
  std::string file = text_of(bytes);
  const std::string magic("\x93NUMPY", 6);
  for (size_t i = 0; i < magic.size() && i < file.size(); ++i) file[i] = magic[i];
  const size_t end = file.find('\n');
  if (file.size() > 10 && file[6] == 1 && end != file.npos && end >= 10 && end < 10'000) {
    const auto length = uint16_t(end + 1 - 10);
    std::memcpy(file.data() + 8, &length, sizeof length);
  }
  static MemoryFile place;
  retort::read_npy(place.holding(bytes_of(file)));
}

}  // namespace retort::fuzz
