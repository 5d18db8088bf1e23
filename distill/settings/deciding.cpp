// Which settings decide a result: the one answer for a checkpoint and its folder, for a folder and what is
// wanted there, and for runs that are compared.

#include <algorithm>

#include "datasets/open.h"
#include "distill/settings/setting_keys.h"

namespace retort {

namespace {

// "cifar100" of "cifar100:DIR": what is there is told by its hash. Drawn images are what their options say.
std::string kind_of(const std::string& spec) {
  if (spec.starts_with("pack:")) return "folder";  // the same pictures, in other files
  return is_drawn(spec) ? spec : spec.substr(0, spec.find(':'));
}

}  // namespace

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
  std::string all = "data.kind = " + kind_of(settings.data.spec) + "\n";
  for (const auto& [name, key, value] : key_values(decided)) {
    if (key.effect == KeyEffect::result) all += name + " = " + value + "\n";
  }
  return all;
}

}  // namespace retort
