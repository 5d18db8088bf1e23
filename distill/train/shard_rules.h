// Which runs can be trained in parts, and by how many processes.
#pragma once
#include <cstdint>
#include <string>

#include "distill/settings/settings.h"

namespace retort {

// Fault::usage if a run of these settings cannot be trained in parts, or not by so many processes: each has a
// power of two of parts, so that theirs is a subtree of the sum. images: of an epoch.
void check_shards(const RunSettings& settings, int64_t images, int processes);

// A line for the log where a loss that relates the images of a batch sees those of a part alone.
std::string shards_note(const RunSettings& settings);

}  // namespace retort
