// What a run's folder has to go on from: every byte of its checkpoints held to its hash, before anything is
// done, and what was lost beside a sound one made again.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "distill/study/recorded_run.h"

namespace retort {

// last, or previous where that is lost or damaged; nothing if none was ever written. Fault::input, saying
// what can be done, if there is none that is sound, though the run was trained.
std::optional<std::filesystem::path> resume_point(const std::filesystem::path& folder);

// Whether the run's last checkpoint is there and sound.
bool has_sound_last(const std::filesystem::path& folder);

using Tell = std::function<void(const std::string&)>;

// Makes again what is damaged or another run's beside the checkpoint that the run goes on from, as copies of
// it: the one before, and the best, lost too, where that is what it is. Tells of it, and where the best
// cannot be.
void restore_checkpoints(const std::filesystem::path& folder, const std::filesystem::path& point,
                         const Tell& tell);

// ConvTuning::record() of the run: what its checkpoint says, else what its folder has, empty if neither does;
// tells where the two differ, or the choices are lost.
std::string convolutions_of(const RecordedRun& run, const std::filesystem::path& file, const Tell& tell);

}  // namespace retort
