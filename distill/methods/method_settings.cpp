#include "distill/methods/method_settings.h"

#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

namespace retort {

namespace {

const MethodKey* find_key(const MethodInfo& method, const std::string& name) {
  for (const MethodKey& key : method.keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

}  // namespace

std::vector<MethodKey> weight_keys(const std::string& ce_weight, const std::string& warmup) {
  return {{"ce_weight", MethodKey::number, ce_weight, "weight of the cross-entropy with the labels"},
          {"warmup", MethodKey::number, warmup,
           "epochs, of a detector steps, over which the distillation terms grow to their full weight"}};
}

std::vector<MethodKey> common_keys(const std::string& ce_weight, const std::string& warmup) {
  std::vector<MethodKey> keys = weight_keys(ce_weight, warmup);
  keys.push_back({"standardize", MethodKey::flag, "false",
                  "standardise both networks' logits per sample (arXiv:2403.01427)"});
  return keys;
}

MethodKey share_key(const std::string& name, const std::string& fallback, const std::string& help) {
  return {.name = name, .kind = MethodKey::number, .fallback = fallback, .help = help, .maximum = 1};
}

MethodKey temperature_key(const std::string& fallback) {
  // Below it f32 cannot hold the quotients.
  return {.name = "temperature",
          .kind = MethodKey::number,
          .fallback = fallback,
          .help = "logits are divided by it",
          .minimum = 1e-3};
}

int views_read(const MethodSettings& settings) {
  if (!settings.has("views")) return 1;
  const int views = settings.integer("views");
  check(views <= 2, Fault::usage, "method ", settings.method().name, ": views is ", views,
        ", expected 1 or 2");
  return views;
}

void MethodSettings::set(const std::string& key, const std::string& value) {
  values_[key] = checked(key, value);
}

void MethodSettings::settle(const std::string& key, const std::string& value) {
  usual_[key] = checked(key, value);
}

std::string MethodSettings::checked(const std::string& key, const std::string& value) const {
  const MethodKey* known = find_key(*method_, key);
  if (!known) {
    std::vector<std::string> names;
    for (const MethodKey& k : method_->keys) names.push_back(k.name);
    fail(Fault::usage, "method ", method_->name, " has no key '", key, "'; ", suggestion(key, names));
  }
  const std::optional<std::string> written = canonical(*known, value);
  check(written.has_value(), Fault::usage, "method ", method_->name, ": ", key, " is '", value,
        "', expected ", expected(*known));
  return *written;
}

bool MethodSettings::has(const std::string& key) const {
  return find_key(*method_, key) != nullptr;
}

bool MethodSettings::is_set(const std::string& key) const {
  return values_.count(key) > 0;
}

const std::string& MethodSettings::value(const std::string& key, MethodKey::Kind kind) const {
  const MethodKey* known = find_key(*method_, key);
  check(known && known->kind == kind, "MethodSettings: method ", method_->name, " has no key ", key,
        " of this kind");
  if (const auto set = values_.find(key); set != values_.end()) return set->second;
  const auto settled = usual_.find(key);
  return settled != usual_.end() ? settled->second : known->fallback;
}

double MethodSettings::number(const std::string& key) const {
  double x = 0;
  check(parse(value(key, MethodKey::number), x), "MethodSettings: the default of ", key, " is no number");
  return x;
}

int MethodSettings::integer(const std::string& key) const {
  int x = 0;
  check(parse(value(key, MethodKey::integer), x), "MethodSettings: the default of ", key, " is no integer");
  return x;
}

bool MethodSettings::flag(const std::string& key) const {
  return value(key, MethodKey::flag) == "true";
}

const std::string& MethodSettings::choice(const std::string& key) const {
  return value(key, MethodKey::choice);
}

std::vector<MethodSettings::Value> MethodSettings::list() const {
  std::vector<Value> all;
  for (const MethodKey& key : method_->keys) all.push_back({key, value(key.name, key.kind)});
  return all;
}

}  // namespace retort
