#include "distill/run/run_settings.h"

#include <initializer_list>
#include <utility>
#include <vector>

#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// What 0.1.0 wrote without a hash held all of these; what lacks one was cut, and so was a file that has the
// program's own key of format 2.
void check_unsealed(const TomlValue& table, const fs::path& file) {
  check(!table.find("typed_in"), Fault::input, file.string(),
        ": is damaged: its last line, the hash of the others, is missing");
  for (const char* key :
       {"command", "model", "teacher", "init", "device", "precision", "seed", "epochs", "batch"})
    check(table.find(key), Fault::input, file.string(), ": is damaged: it lacks ", key);
  for (const auto& [name, keys] : std::initializer_list<std::pair<const char*, std::vector<const char*>>>{
           {"data", {"spec", "augment", "shuffle", "limit", "validation"}},
           {"optimizer", {"lr", "momentum", "weight_decay"}},
           {"schedule", {"milestones", "factor"}},
           {"method", {"name"}}}) {
    const TomlValue* inner = table.find(name);
    for (const char* key : keys)
      check(inner && inner->kind == TomlValue::table && inner->find(key), Fault::input, file.string(),
            ": is damaged: it lacks ", name, ".", key);
  }
}

}  // namespace

bool check_settings_seal(const fs::path& file) {
  const bool sealed = check_seal(read_text_file(file, 1 << 20), file);
  if (!sealed) check_unsealed(read_toml(file), file);
  return sealed;
}

RunSettings read_run_settings(const fs::path& folder, bool* sealed) {
  const fs::path file = folder / "config.toml";
  RunSettings settings;
  try {
    const bool has_seal = check_settings_seal(file);
    if (sealed) *sealed = has_seal;
    read_settings(file, settings);
  } catch (const Error& error) {
    fail(Fault::input, error.what());
  }
  return settings;
}

}  // namespace retort
