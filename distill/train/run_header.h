// The four lines that a run begins with: what is trained and how, on what, by what, and where it goes.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/train/assembly.h"

namespace retort {

std::vector<std::string> run_header(const Assembly& run, const std::filesystem::path& folder);

}  // namespace retort
