// The keys of RunSettings: one table, from which reading a file, --set KEY=VALUE, flags, writing config.toml,
// the help and the error texts are derived.
#pragma once
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "distill/settings/settings.h"
#include "distill/settings/toml_file.h"

namespace retort {

// Where a key's value lies; its type is the key's type.
using SettingField =
    std::variant<std::string*, bool*, int*, int64_t*, uint64_t*, double*, std::optional<std::vector<int>>*>;

struct SettingLimits {
  double minimum = 0;                                        // of a number
  double maximum = std::numeric_limits<double>::infinity();  // of a number
  bool exclusive = false;                                    // the value must be more than minimum
  std::vector<std::string> choices = {};                     // of text: nothing else is allowed
};

// A key of the run: its kind is its field's, its default the field's initial value.
struct SettingKey : KeyType {
  SettingKey(const std::string& full_name, const std::string& option, const std::string& what,
             SettingField (*where)(RunSettings& settings), const SettingLimits& limits = {},
             KeyEffect of_another = KeyEffect::result);

  std::string flag;  // of the command line, and what stands for its value: "--lr X", "--eager" of a switch;
                     // empty if there is none
  SettingField (*field)(RunSettings& settings);
};

// In the order in which config.toml holds them. The keys of the method come besides them: "method.name" and
// what the method has.
const std::vector<SettingKey>& setting_keys();

// Sets one key from text, as --set does; lists as "150,180,210". Setting method.name to another method drops
// what was set for the one before. Fault::usage, naming the nearest key, or what was expected.
void set_key(RunSettings& settings, const std::string& key, const std::string& text);

// Of keys that nobody sets for all runs of a study: its pairs and rows say them, or they are of one run.
bool said_by_study(const std::string& key);

// Data keys over settings of a run, whose spec holds the files of coco:DIR: one that is set counts.
void set_data_keys(RunSettings& settings, const std::vector<std::pair<std::string, std::string>>& keys);

// The value as text that set_key takes; empty where there is none.
std::string get_key(const RunSettings& settings, const SettingKey& key);

struct KeyValue {
  std::string name;  // with what stands before it: "optimizer.lr", "method.alpha"
  const KeyType& key;
  std::string value;  // as get_key() gives it
};

// Every key that these settings have, in the order of config.toml: setting_keys(), "method.name" and the
// method's own.
std::vector<KeyValue> key_values(const RunSettings& settings);

// A value of a key as TOML writes it: text in quotes.
std::string toml_value(const KeyType& key, const std::string& value);

// Lays a table of keys over the settings: method.name and data.spec first, the others in any order. `file` is
// for messages, which name the line. Entries named in `skipped` are the caller's.
void set_from_table(RunSettings& settings, const TomlValue& table, const std::string& file,
                    const std::vector<std::string>& skipped = {});

// Lays a file over the settings: `inherit = "FILE"` (relative to it) before its own keys. Fault::input if a
// file is missing or unreadable, Fault::usage with file and line for what is wrong in it.
//
// Recipes of a pair of networks are put together: where there is no file PAIR/METHOD.toml but a file PAIR.toml,
// it is PAIR.toml, over it methods/METHOD.toml (beside PAIR.toml), over that what PAIR.toml and the files it
// inherits from say of it in tables [recipe.METHOD].
void read_settings(const std::filesystem::path& file, RunSettings& settings);

// The settings as a file that gives the same settings when it is read.
std::string settings_toml(const RunSettings& settings);

// The settings that decide the result, a line each: two runs with the same lines and the same data, teacher
// and starting weights (by their hashes) end at the same weights. Places, threads and the like are left out.
std::string deciding(const RunSettings& settings);

// "cifar100" of "cifar100:DIR"; a pack holds a folder's pictures in other files and is of its kind.
std::string kind_of_data(const std::string& spec);

// The same settings where what gives the same bits is set in one way.
RunSettings as_decided(RunSettings settings);

}  // namespace retort
