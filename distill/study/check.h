// Whether files are what the program wrote: every hash, that the files of a run belong together, and what is
// missing. Nothing is changed.
#pragma once
#include <filesystem>

#include "distill/study/checked_file.h"

namespace retort {

// A run's folder or what is left of one, one of several seeds, a study's, one with runs in it, a published
// report's, a file of weights or of the C library. Fault::input if there is nothing at `path`, or nothing of
// these.
CheckResult check_path(const std::filesystem::path& path);

}  // namespace retort
