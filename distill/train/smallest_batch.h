// Whether a step can be made with the smallest batch of an epoch: found before the first step, not in its
// last.
#pragma once
#include "datasets/image_set.h"
#include "distill/settings/settings.h"
#include "models/model.h"

namespace retort {

// Where an epoch over the samples has a batch of one image, makes a step with one, on the host and with
// networks of its own. Fault::usage, naming the sizes, if that cannot be: a norm over one value, a loss that
// is not finite. teacher: nullptr where the method reads none.
void check_smallest_batch(const RunSettings& settings, const ImageSet& images,
                          const std::vector<int32_t>& samples, const Model* teacher);

}  // namespace retort
