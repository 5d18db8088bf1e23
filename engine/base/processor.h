// What the machine says of its processor.
#pragma once
#include <string>

namespace retort {

// "AMD EPYC 9R14 Processor"; on ARM, where often only a board has a name, that or "aarch64"; empty where the
// system says nothing.
std::string processor_name();

}  // namespace retort
