// Whether what can be computed again is what was kept.
#pragma once
#include <filesystem>

#include "distill/study/checked_file.h"

namespace retort {

// The cache folder: stored logits, measured convolutions, listings of folders of photos and their numbers,
// plans of cuDNN. Fault::input if there is none.
CheckResult check_cache(const std::filesystem::path& cache);

// Fault::input unless a plan of cuDNN is what was written there: the digest of its head is its name.
void check_plan(const std::filesystem::path& file);

}  // namespace retort
