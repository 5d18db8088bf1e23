// Weights that a command was given by a run's name: what the run says of itself.
#pragma once
#include <optional>
#include <string>

#include "datasets/image_set.h"
#include "distill/settings/settings.h"
#include "models/weights.h"

namespace retort {

// spec: RUN or RUN:best; nothing for a file of weights. Places are as they can be opened from here; what was
// damaged in the run and made again is noted on stderr.
std::optional<RunSettings> settings_of_run(const std::string& spec);

// The data that the weights were trained on, and how it is read: a run says where it lies, drawn images need
// no place. Fault::usage if nobody knows.
DataSettings data_of(const Weights& weights);
// Or the data of --data, if that is given: it is read as the weights know. What a run names in its data's
// folder is looked for in this one, see data_elsewhere().
DataSettings data_of(const Weights& weights, const std::string& given);

// Says so on stderr if the run's test images, `test`, have changed since: its results are of others. Where
// nobody named other data or reads it otherwise.
void note_changed_images(const Weights& weights, const ImageSet& test);

// Why `teacher` is not what taught the run's weights: both hashes; empty where it is, or the weights do not
// say.
std::string not_its_teacher(const Weights& weights, const Weights& teacher);

// The shorter side at which a detector looks at pictures: `given`, or else that of its training, as its file
// or its run says; 0: the network's own. Fault::input for a file that says what is none.
int64_t pictures_size(const Weights& weights, int64_t given);

}  // namespace retort
