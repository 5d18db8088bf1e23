// The runs in folders, as results: what `report` is about.
#pragma once
#include <filesystem>
#include <vector>

#include "distill/study/results.h"

namespace retort {

// Looks for runs in the folders and below them, complete or not, and puts together what belongs together. A
// study's results.json says what there should be, and how it is called; symbolic links to folders are not
// followed. Of a folder without runs, report.json: a study that was published. Runs that cannot be read
// become notes. Fault::input if a folder is not there or holds neither.
Results collect_results(const std::vector<std::filesystem::path>& folders);

}  // namespace retort
