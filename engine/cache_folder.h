// Where what can be computed again is kept between runs: cuDNN's plans, teachers' logits.
#pragma once
#include <filesystem>

namespace retort {

// RETORT_CACHE, or retort in XDG_CACHE_HOME, or ~/.cache/retort; empty if none of these is set.
std::filesystem::path cache_folder();

}  // namespace retort
