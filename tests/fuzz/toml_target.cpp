// Settings and studies. First byte: odd, a study; even, a file of settings.
#include <stdexcept>

#include "distill/settings/setting_keys.h"
#include "distill/settings/settings.h"
#include "distill/study/study.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_toml(Bytes bytes) {
  static const ScratchFolder folder;
  static const std::filesystem::path file = folder.path() / "settings.toml",
                                     second = folder.path() / "second.toml";
  const bool study = take<uint8_t>(bytes) & 1;
  folder.write("settings.toml", bytes);
  if (study) {
    read_study(file);
    return;
  }
  RunSettings settings;
  read_settings(file, settings);
  // What was understood is written so that it is understood the same.
  const std::string written = settings_toml(settings);
  folder.write("second.toml", bytes_of(written));
  RunSettings again;
  read_settings(second, again);
  if (settings_toml(again) != written) throw std::logic_error("settings change by being written and read");
}

}  // namespace retort::fuzz
