// The settings of a run, or of several seeds, with their seal made right or left out. First byte: which.
#include <stdexcept>

#include "distill/run/sealed.h"
#include "distill/study/recorded_run.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_seeds(Bytes bytes) {
  static ScratchFolder folder;
  const uint8_t kind = take<uint8_t>(bytes);
  const std::string content = kind & 1 ? sealed(text_of(bytes)) : text_of(bytes);
  if (kind & 2) {
    folder.write("config.toml", bytes_of(content));
    read_run_settings(folder.path());
    return;
  }
  folder.write("seeds.toml", bytes_of(content));
  const RecordedSeeds found = read_recorded_seeds(folder.path());
  if (found.seeds < 1 || found.seeds > 1000) throw std::logic_error("a number of seeds that there cannot be");
}

}  // namespace retort::fuzz
