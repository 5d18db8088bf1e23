// From settings to what opening a data set takes.
#pragma once
#include <string>

#include "datasets/image_set.h"
#include "distill/settings/settings.h"
#include "models/weights.h"

namespace retort {

// Of a run: sizes and numbers where the data has none follow from its network; a detector's as box_options.
// Fault::usage for values that make no sense.
DataOptions data_options(const RunSettings& settings);

// Of pictures with boxes: of the settings of photos the decoder counts, and the size where they are batched.
// Fault::usage, naming it, for one that is set and that detectors know nothing of: they see every picture,
// whole, decoded anew each time.
DataOptions box_options(const DataSettings& data, Parts parts);

// What methods compare of an image, or of a box: the classes, and background where boxes have it as one more.
int64_t compared_classes(const RunSettings& settings, const DataSet& data);

// Of test images for the network of these weights, `network` by name: what `data` leaves open is as the
// weights know it. Each is read once: none are kept.
DataOptions test_options(const DataSettings& data, const Weights& weights, const std::string& network);

// Workers that read test images: of photos as many as read those to train on.
int test_workers(const DataSettings& data, const ImageSet& images);

// Bytes of decoded photos that stay in memory under these settings.
int64_t photo_cache_bytes(const DataSettings& data);

}  // namespace retort
