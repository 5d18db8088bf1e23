#include "models/added.h"

#include "engine/base/check.h"

namespace retort {

namespace {

struct Added {
  std::vector<std::pair<std::string, ModelMaker>> models;
  bool closed = false;
};

Added& added() {
  static Added all;
  return all;
}

}  // namespace

void add_model(const std::string& name, ModelMaker make) {
  check(!name.empty() && make, "add_model: '", name, "' needs a name and a function that makes the network");
  check(!added().closed, "add_model: network ", name,
        " comes too late, the networks have been listed; add it before retort::main()");
  added().models.push_back({name, std::move(make)});
}

const std::vector<std::pair<std::string, ModelMaker>>& added_models() {
  added().closed = true;
  return added().models;
}

}  // namespace retort
