#include "datasets/added.h"

#include "engine/base/check.h"

namespace retort {

namespace {

struct Added {
  std::vector<AddedDataset> datasets;
  bool closed = false;
};

Added& added() {
  static Added all;
  return all;
}

}  // namespace

void add_dataset(AddedDataset dataset) {
  check(!dataset.name.empty() && dataset.name.find(':') == std::string::npos && dataset.open,
        "add_dataset: '", dataset.name, "' needs a name without a colon and a function that opens it");
  check(!added().closed, "add_dataset: data set ", dataset.name,
        " comes too late, one has been opened; add it before retort::main()");
  if (dataset.usage.empty()) dataset.usage = dataset.name;
  added().datasets.push_back(std::move(dataset));
}

const std::vector<AddedDataset>& added_datasets() {
  added().closed = true;
  return added().datasets;
}

}  // namespace retort
