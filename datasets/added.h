// Data sets from outside this library, added before anything opens one; from then on --data knows them as all
// others.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "datasets/image_set.h"

namespace retort {

struct AddedDataset {
  std::string name;   // what stands before the colon of --data NAME:ARGUMENT
  std::string usage;  // for messages: "mine:DIR"
  // argument: what stands behind the colon. Images of the part that is not asked for may be left out.
  std::function<DataSet(const std::string& argument, Parts parts)> open;
};

// Error(Fault::internal) if a data set has been opened already, or name or open is empty.
void add_dataset(AddedDataset dataset);

// In the order in which they were added; from now on no more can be. For open_dataset().
const std::vector<AddedDataset>& added_datasets();

}  // namespace retort
