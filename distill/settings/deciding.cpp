// Which settings decide a result: the one answer for a checkpoint and its folder, for a folder and what is
// wanted there, and for runs that are compared.

#include <algorithm>

#include "datasets/open.h"
#include "distill/settings/setting_keys.h"

namespace retort {

std::string kind_of_data(const std::string& spec) {
  const std::string kind = spec.substr(0, spec.find(':'));
  return kind == "pack" ? "folder" : kind;
}

RunSettings as_decided(RunSettings settings) {
  // The teacher's logits are the same bits from a table of f32.
  if (settings.teacher_table.precision == "f32" && settings.device != "cuda")
    settings.teacher_source = "live";
  if (settings.teacher_source == "live") settings.teacher_table.precision = "f32";
  settings.shards = std::max(settings.shards, 1);
  return settings;
}

std::string deciding(const RunSettings& settings) {
  RunSettings decided = as_decided(settings);
  // What nobody chose is crop-flip where it was not settled otherwise.
  if (decided.data.augment == "auto") decided.data.augment = "crop-flip";
  // What files hold is told by its hash, drawn images by their options.
  const std::string& spec = settings.data.spec;
  std::string all = "data.kind = " + (is_drawn(spec) ? spec : kind_of_data(spec)) + "\n";
  for (const auto& [name, key, value] : key_values(decided)) {
    if (key.effect == KeyEffect::result) all += name + " = " + value + "\n";
  }
  return all;
}

}  // namespace retort
