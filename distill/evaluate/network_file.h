// Networks written for the embeddable library: read again and run on a data set's images.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "datasets/image_set.h"
#include "engine/base/check.h"
#include "engine/infer/retort.h"

namespace retort {

// What is to blame where the embeddable library did not load a file: the machine (Fault::memory), or of_file.
Fault fault_of_load(retort_status status, Fault of_file);

// Logits of normalised images, N,H,W,C, by the embeddable library. Fault::verification if it refuses the
// file.
std::vector<float> network_file_logits(std::span<const std::byte> file, std::span<const float> images,
                                       int64_t count);

struct NetworkAccuracy {
  double top1 = 0;  // percent
  std::vector<uint32_t> answers;
};

// Of the test images, by the embeddable library and normalised with the numbers in the file, or the set's own
// where it has none; progress(done, total) in images. Fault::input if the images
// have another size or more classes than the network.
NetworkAccuracy network_file_accuracy(std::span<const std::byte> file, const ImageSet& images, int threads,
                                      const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace retort
