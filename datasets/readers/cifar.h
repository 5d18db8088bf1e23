// CIFAR-10 and CIFAR-100 in the binary layouts of https://www.cs.toronto.edu/~kriz/cifar.html: rows of label
// bytes (CIFAR-100: coarse, fine; CIFAR-10: one) and 3072 pixels as three planes R, G, B of 32x32.
#pragma once
#include <filesystem>

#include "datasets/image_set.h"

namespace retort {

// `folder` holds the files, or the folder the archive unpacks to (cifar-100-binary, cifar-10-batches-bin); or
// those of the archive for Python (cifar-100-python, cifar-10-batches-py), pickles, of which nothing is run.
// Files may have any number of rows; labels out of range and everything else is a Fault::input that names
// file, byte offset, what was found and what was expected. CIFAR-100 is read with its fine labels.
DataSet read_cifar100(const std::filesystem::path& folder, Parts parts = Parts::both);
DataSet read_cifar10(const std::filesystem::path& folder, Parts parts = Parts::both);

}  // namespace retort
