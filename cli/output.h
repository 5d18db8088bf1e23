// stdout: the result of a command and nothing else.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace retort {

// Error(Fault::write) if it cannot be written (disk full), and at once: a result that is lost must not look
// like success.
void print(std::string_view text);

// The same for one line of JSON. Names of files may be any bytes: what is not UTF-8 becomes U+FFFD.
void print_json(const nlohmann::ordered_json& json);

// One line on stderr, "retort: MESSAGE"; line ends and control characters in it become spaces.
void print_error(std::string_view message);

}  // namespace retort
