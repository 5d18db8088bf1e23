// stdout: the result of a command and nothing else.
#pragma once
#include <string_view>

namespace retort {

// Error(Fault::write) if it cannot be written (disk full), and at once: a result that is lost must not look
// like success.
void print(std::string_view text);

// One line on stderr, "retort: MESSAGE"; line ends and control characters in it become spaces.
void print_error(std::string_view message);

}  // namespace retort
