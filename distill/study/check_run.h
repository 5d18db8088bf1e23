// Whether the files of a run are what it wrote, and belong together.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/study/checked_file.h"

namespace retort {

// The files of a run, or of what is left of one. again: the command that trains it where its settings are
// lost.
std::vector<CheckedFile> check_run(const std::filesystem::path& folder, const std::string& again);

// Whether a run's files lie there, with its settings or without.
bool looks_like_run(const std::filesystem::path& folder);

}  // namespace retort
