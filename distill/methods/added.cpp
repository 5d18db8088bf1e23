#include "distill/methods/added.h"

#include <algorithm>

#include "engine/base/added_list.h"

namespace retort {

namespace {

AddedList<MethodInfo>& added() {
  static AddedList<MethodInfo> all;
  return all;
}

}  // namespace

void add_method(MethodInfo method) {
  const bool named =
      !method.name.empty() &&
      method.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  check(named, "add_method: the name '", method.name, "' is not of lower case letters, digits and hyphens");
  check(method.make != nullptr, "add_method: method ", method.name, " has no make; give construct<CLASS>");
  for (MethodKey& key : method.keys) {
    const std::optional<std::string> fallback = canonical(key, key.fallback);
    check(fallback.has_value(), "add_method: method ", method.name, ": the default of ", key.name, " is '",
          key.fallback, "', expected ", expected(key));
    key.fallback = *fallback;
  }
  const std::string who = "add_method: method " + method.name;
  added().add(std::move(method), who, "the methods have been listed");
}

const std::vector<MethodInfo>& added_methods() {
  return added().all();
}

}  // namespace retort
