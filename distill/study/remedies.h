// The commands that `retort check` names: what makes whole again what does not hold. They are for a shell, in
// the folder that the program runs in.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace retort {

std::string remove_command(const std::filesystem::path& file);

// `command`: train or distill.
std::string resume_command(const std::string& command, const std::filesystem::path& folder);
// With the settings in the run's own config.toml; what is there of it is deleted.
std::string anew_command(const std::string& command, const std::filesystem::path& run);

std::string report_command(const std::filesystem::path& folder);

// A command as it was typed, which a run's env.json remembers.
struct TypedCommand {
  std::vector<std::string> words;  // "retort", "train", ...
  std::filesystem::path in;        // the folder it was typed in; empty: not known, taken for this one
  std::string started;             // UTC
};

// The command that began the study whose runs these are, or that went on with it last; nothing if no run has
// it.
std::optional<TypedCommand> command_of_study(const std::vector<std::filesystem::path>& runs);

// The same to be typed again, for the run or study in `folder`.
std::string typed_again(const TypedCommand& command, const std::filesystem::path& folder);

// What trains a run whose settings are lost, once its folder is deleted; empty if nobody knows. study, in:
// the study's command and folder, where the run is one of a study's.
std::string run_again(const std::filesystem::path& run, const std::optional<TypedCommand>& study,
                      const std::filesystem::path& in);

}  // namespace retort
