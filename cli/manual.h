// What the program can be told, as one structure: of its commands' own options, so that nothing here has to
// be kept equal to them by hand. Completion and the manual page are made of it.
#pragma once
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/options.h"

namespace retort {

// What the command takes. The command is called and does nothing else.
OptionSheet sheet_of(const Command& command);

// The manual page retort(1), as man(7) macros.
std::string manual_page();

}  // namespace retort
