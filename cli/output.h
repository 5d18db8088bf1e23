// stdout: the result of a command and nothing else.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

// Error(Fault::write) if it cannot be written (disk full), and at once: a result that is lost must not look
// like success.
void print(std::string_view text);

// Of what --json prints: raised where an entry goes or means something else, not where one is added. What
// there is stands in cli/json.md.
inline constexpr int json_schema = 1;

// The same for one line of JSON, an object with "schema". Names of files may be any bytes: what is not UTF-8
// becomes U+FFFD.
void print_json(const nlohmann::ordered_json& json);

// Error(Fault::usage), naming the option, if what is written there would replace a file that was read.
void check_not_read(const std::string& option, const std::filesystem::path& written,
                    const std::filesystem::path& read);

// The same for notes, "retort: note: NOTE" each.
void print_notes(const std::vector<std::string>& notes);

// One line on stderr, "retort: MESSAGE", broken between words on a terminal; line ends and control characters
// in it become spaces.
void print_error(std::string_view message);

}  // namespace retort
