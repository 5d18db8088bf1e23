// Files of a run that say whether they are still what was written: the text ends in a line with its own XXH3.
// Since format 2; what 0.1.0 wrote has none.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace retort {

// Of what a run leaves: config.toml, seeds.toml, summary.json, env.json and the checkpoints say it.
inline constexpr int run_format = 2;

// TOML, or any text in which '#' begins a comment: `content` with a last line of its hash.
std::string sealed(const std::string& content);

// Whether the text ends in such a line. Fault::input, naming the file, if the hash in it is not the text's.
bool check_seal(const std::string& content, const std::filesystem::path& file);

// The same for JSON objects: entries "format" and "xxh3", the last.
nlohmann::ordered_json sealed(nlohmann::ordered_json object);
bool check_seal(const nlohmann::ordered_json& object, const std::filesystem::path& file);

// Of an entry of a file in which each has its own: its name and its content as text.
std::string hash_of_entry(const std::string& key, const std::string& content);

// "unbound: made by 0.1.0", with the folder before it: for what has no seal.
std::string unbound_note(const std::filesystem::path& folder);

}  // namespace retort
