// What a key is, for people and for what helps them (`retort settings`, --keys, completion, the manual): made
// of the one table of keys and of what the methods say of theirs.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "distill/settings/settings.h"

namespace retort {

struct KeySheet {
  std::string name;      // as --set and files have it: "optimizer.lr", "method.temperature"
  std::string type;      // text, choice, flag, integer, number, list
  std::string expected;  // "a number more than 0", "one of auto, live, table"
  std::string fallback;  // the value where nobody sets one, as --set takes it; empty: none
  std::string help;
  std::string flag;  // "--lr X"; empty if there is none
  std::vector<std::string> choices;
  std::vector<std::string> commands;  // that take it
  std::vector<std::string> methods;   // of a method's key: those that have it with this default
  bool decides = true;                // changes the result
};

// All keys, in the order of config.toml, then those of the methods. A key that several methods have comes
// once for each default and meaning.
std::vector<KeySheet> key_sheets();

// Those that a run of the command with this method reads.
std::vector<KeySheet> key_sheets(const std::string& command, const MethodInfo& method);

// Those that the pattern means, in upper or lower case: a part of the key's name, its flag, a method, a word
// of its help; with * or ? in it, the whole name. Error(Fault::usage), naming the nearest key, if there are
// none.
std::vector<KeySheet> matching(const std::vector<KeySheet>& sheets, const std::string& pattern);

// What to say of a key that is typed as if it were an option of the command: "--temperature",
// "--weight-decay". Empty where it is none.
std::string key_advice(const std::string& command, const std::string& option);

// Two lines or more for each, of at most `width` columns.
std::string keys_text(const std::vector<KeySheet>& sheets, size_t width = 80);

}  // namespace retort
