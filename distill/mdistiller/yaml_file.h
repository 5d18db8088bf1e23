// YAML files (yaml.org, 1.2) as plain trees that remember their lines, for messages. Configuration files use
// little of YAML: mappings, sequences and scalars.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

struct YamlValue {
  enum Kind { scalar, sequence, mapping };

  Kind kind = scalar;
  int line = 0;                         // in the file, from 1; in a mapping the key's
  std::string text = "";                // of a scalar, without quotes; empty for null
  std::vector<YamlValue> items = {};    // of a sequence or a mapping
  std::vector<std::string> names = {};  // of a mapping: items[i] is called names[i]
  bool quoted = false;                  // a scalar in quotes or of a block is text, whatever it says
};

// The file's one document. Fault::input if it is missing, unreadable, larger than 1 MiB, not UTF-8 or (with
// its line) no YAML; Fault::usage, with file and line, for what configuration files have no use for: anchors
// and aliases, tags, keys that are no scalars or are there twice, nesting deeper than 8, a second document.
YamlValue read_yaml(const std::filesystem::path& file);

}  // namespace retort
