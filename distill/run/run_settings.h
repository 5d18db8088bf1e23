// The settings that a run's folder says it has: config.toml, held to its seal.
#pragma once
#include <filesystem>

#include "distill/settings/settings.h"

namespace retort {

// Fault::input, naming the file: what is wrong with it is wrong with the folder that was named. sealed:
// whether the file has a seal; what 0.1.0 wrote has none.
RunSettings read_run_settings(const std::filesystem::path& folder, bool* sealed = nullptr);

// Whether a file of a run's settings has a seal. Fault::input if that is broken, or if there is none and the
// file is not what 0.1.0 wrote.
bool check_settings_seal(const std::filesystem::path& file);

}  // namespace retort
