#include "datasets/added.h"

#include "engine/base/added_list.h"

namespace retort {

namespace {

AddedList<AddedDataset>& added() {
  static AddedList<AddedDataset> all;
  return all;
}

}  // namespace

void add_dataset(AddedDataset dataset) {
  check(!dataset.name.empty() && dataset.name.find(':') == std::string::npos && dataset.open,
        "add_dataset: '", dataset.name, "' needs a name without a colon and a function that opens it");
  if (dataset.usage.empty()) dataset.usage = dataset.name;
  const std::string who = "add_dataset: data set " + dataset.name;
  added().add(std::move(dataset), who, "one has been opened");
}

const std::vector<AddedDataset>& added_datasets() {
  return added().all();
}

}  // namespace retort
