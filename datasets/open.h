// Data sets by name.
#pragma once
#include <string>
#include <vector>

#include "datasets/image_set.h"

namespace retort {

// Whether a set is drawn by the program: it lies nowhere, and its options say all of it.
bool is_drawn(const std::string& spec);

// "synthetic", "synthetic:train=N,test=N,seed=N", "cifar100:DIR", "cifar10:DIR", "folder:DIR", "pack:FILE",
// "npy:DIR"; with boxes, as DataSet::boxes, "scenes" and "coco:DIR", see carried_boxes. An unknown name or
// option is a Fault::usage that lists the known ones; what is wrong with the files a Fault::input.
DataSet open_dataset(const std::string& spec, const DataOptions& options);
inline DataSet open_dataset(const std::string& spec, Parts parts = Parts::both) {
  return open_dataset(spec, DataOptions{.parts = parts});
}

// How each begins, the program's own and the added: "synthetic", "folder:", ...; behind a colon has to follow
// where it lies.
std::vector<std::string> dataset_words();

// The options as far as they decide what is opened: those of photos count only where there can be some.
DataOptions deciding_options(const std::string& spec, const DataOptions& options);

}  // namespace retort
