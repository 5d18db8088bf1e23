// Images and labels in four .npy files: train_images.npy, train_labels.npy, test_images.npy, test_labels.npy.
#pragma once
#include <filesystem>

#include "datasets/image_set.h"

namespace retort {

// Images: u8, N,H,W,3, or 1 channel, which becomes three; labels: u8, i32 or i64, N, numbers of classes from
// 0. Square images of at most 64 pixels a side are held as they are; others are treated as photos. Mean and
// deviation are measured on the training images. Fault::input, naming the file, for what does not fit.
DataSet read_npy_set(const std::filesystem::path& folder, const DataOptions& options = {});

}  // namespace retort
