#include "models/added.h"

#include "engine/base/added_list.h"

namespace retort {

namespace {

AddedList<std::pair<std::string, ModelMaker>>& added() {
  static AddedList<std::pair<std::string, ModelMaker>> all;
  return all;
}

}  // namespace

void add_model(const std::string& name, ModelMaker make) {
  check(!name.empty() && make, "add_model: '", name, "' needs a name and a function that makes the network");
  added().add({name, std::move(make)}, "add_model: network " + name, "the networks have been listed");
}

const std::vector<std::pair<std::string, ModelMaker>>& added_models() {
  return added().all();
}

}  // namespace retort
