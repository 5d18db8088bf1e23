// Data sets by name.
#pragma once
#include <string>

#include "datasets/image_set.h"

namespace retort {

// "synthetic", "synthetic:train=N,test=N,seed=N", "cifar100:DIR", "cifar10:DIR", "folder:DIR", "pack:FILE",
// "npy:DIR". An unknown name or option is a Fault::usage that lists the known ones; what is wrong with the
// files a Fault::input.
DataSet open_dataset(const std::string& spec, const DataOptions& options);
inline DataSet open_dataset(const std::string& spec, Parts parts = Parts::both) {
  return open_dataset(spec, DataOptions{.parts = parts});
}

}  // namespace retort
