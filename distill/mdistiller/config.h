// The YAML configs of mdistiller (github.com/megvii-research/mdistiller) and of its forks, for RLD, PCD,
// logit standardisation, SDD, GDKD, WKD and others, as recipes of ours.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

struct TranslatedConfig {
  std::string toml;  // for read_settings; what the file leaves to mdistiller's defaults is written out
  std::vector<std::string> notes;  // "FILE:LINE: KEY is not translated: ..." or "is translated in part: ...",
                                   // one per key, in the file's order
};

// Fault::input if the file is missing, larger than 1 MiB or no YAML, Fault::usage, with file and line, if it
// is no config of mdistiller, or one of a method, network, data set, optimiser or schedule that this program
// does not have.
TranslatedConfig translate_mdistiller_config(const std::filesystem::path& file);

}  // namespace retort
