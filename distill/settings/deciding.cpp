// Which settings decide a result: the one answer for a checkpoint and its folder, for a folder and what is
// wanted there, and for runs that are compared.

#include <algorithm>

#include "datasets/open.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/text.h"

namespace retort {

namespace {

// "cifar100" of "cifar100:DIR": what is there is told by its hash. Drawn images are what their options say.
std::string kind_of(const std::string& spec) {
  if (spec.starts_with("pack:")) return "folder";  // the same pictures, in other files
  return is_drawn(spec) ? spec : spec.substr(0, spec.find(':'));
}

}  // namespace

std::string deciding(RunSettings settings) {
  // The same bits either way.
  if (settings.teacher_table.precision == "f32" && settings.device != "cuda")
    settings.teacher_source = "live";
  if (settings.teacher_source == "live") settings.teacher_table.precision = "f32";
  settings.shards = std::max(settings.shards, 1);
  // What nobody chose is crop-flip where it was not settled otherwise.
  if (settings.data.augment == "auto") settings.data.augment = "crop-flip";
  std::string all = "data.kind = " + kind_of(settings.data.spec) + "\n";
  for (const SettingKey& key : setting_keys()) {
    if (key.effect == KeyEffect::result) all += key.name + " = " + get_key(settings, key) + "\n";
  }
  all += "method.name = " + settings.method.method().name + "\n";
  for (const auto& [key, value] : settings.method.list()) {
    all += "method." + key.name + " = ";
    all += key.kind == MethodKey::number ? exact_decimal(settings.method.number(key.name)) : value;
    all += "\n";
  }
  return all;
}

}  // namespace retort
