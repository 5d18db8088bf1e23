// The file that says whose a run's folder is.
#include "distill/run/run_folder.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_lock(Bytes bytes) {
  static ScratchFolder folder;
  const uint8_t kind = take<uint8_t>(bytes);
  folder.write("lock", bytes);
  if (kind & 1)
    folder.write("config.toml", {});
  else
    std::filesystem::remove(folder.path() / "config.toml");
  RunFolder(folder.path(), kind & 2 ? RunFolder::Mode::force : RunFolder::Mode::resume);
}

}  // namespace retort::fuzz
