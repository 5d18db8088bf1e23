#include "distill/methods/added.h"

#include <algorithm>

#include "engine/base/check.h"

namespace retort {

namespace {

struct Added {
  std::vector<MethodInfo> methods;
  bool closed = false;
};

Added& added() {
  static Added all;
  return all;
}

}  // namespace

void add_method(MethodInfo method) {
  const bool named =
      !method.name.empty() &&
      method.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  check(named, "add_method: the name '", method.name, "' is not of lower case letters, digits and hyphens");
  check(method.make != nullptr, "add_method: method ", method.name, " has no make; give construct<CLASS>");
  check(!added().closed, "add_method: method ", method.name,
        " comes too late, the methods have been listed; add it before retort::main()");
  added().methods.push_back(std::move(method));
}

const std::vector<MethodInfo>& added_methods() {
  added().closed = true;
  return added().methods;
}

}  // namespace retort
