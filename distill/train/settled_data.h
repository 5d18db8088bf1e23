// What nobody set of a run's images, and follows from them or from the weights.
#pragma once
#include "datasets/augment/augment.h"
#include "datasets/image_set.h"
#include "distill/settings/settings.h"
#include "models/network_input.h"
#include "models/weights.h"

namespace retort {

// How images are augmented, and photos become images. Fault::usage if photos' crops are asked of images that
// are held in memory.
void settle_data(DataSettings& data, const ImageSet& train);

// Fault::usage for what settings ask of photos (images that are not in memory) and crops that never repeat
// cannot give: fixed views, a table of the teacher's logits, a second view.
void check_photos(const RunSettings& settings, const ImageSet& train);

// Folders come without numbers of their own: those of the weights it starts from (init, may be empty), else
// the teacher's (teacher_mean and teacher_std, or its file's), before others. Where they come from is
// settings.data.numbers.
void settle_numbers(RunSettings& settings, const Weights& init, const ImageSet& train);

// A line for the user where data.limit leaves out all images of a class: folders are in the order of their
// classes. samples: those that are trained on.
std::string limit_note(const DataSettings& data, const ImageSet& train, const std::vector<int32_t>& samples);

// What the weights of a network for images of this side say of the images: see NetworkInput, and "mean",
// "std", "data"; a detector's that are not of its own size "pictures_size", their shorter side.
Metadata metadata_of(const DataSet& data, const Normalize& sees, int64_t side, int64_t pictures_size);

}  // namespace retort
