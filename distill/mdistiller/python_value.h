// What mdistiller's program makes of a value in its configs: PyYAML reads it (YAML 1.1), and yacs takes what
// is still text as a literal of Python where it is one ("5e-4", "(150, 180)").
#pragma once
#include <string>

#include "distill/mdistiller/yaml_file.h"

namespace retort {

// A scalar's value as our settings read it: "true" and "false", numbers in decimal (0x10 is "16", 1:30 is
// "90", 3.0 is "3"), text as it stands; empty for null.
std::string python_value(const YamlValue& scalar);

}  // namespace retort
