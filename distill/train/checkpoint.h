// A run's state between two steps: everything that a resumed run needs to go on to the same bits.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/checkpoint_record.h"
#include "distill/run/run_record.h"
#include "distill/settings/settings.h"
#include "distill/train/weight_average.h"
#include "models/model.h"

namespace retort {

// What is saved, apart from the counters.
struct TrainingState {
  Model& model;
  Module& distiller;  // what the method learns besides the model
  Sgd& optimizer;
  Device& device;
  WeightAverage* average = nullptr;
};

// What the optimizer moves: the model's parameters that are not frozen, then the method's as
// "distiller.NAME". narrow_on: not null: the model's convolutions are in 16 bits there, see in_16_bits().
std::vector<NamedParameter> learned_parameters(Model& model, Module& distiller,
                                               const Device* narrow_on = nullptr, bool padded_images = false);

// What a run has reached, without its status and weights_hash.
Summary summary_of(const RunSettings& settings, const Counters& counters);

// Atomically, the one before kept as `previous` (unless empty). Fault::diverged, nothing written, if a weight
// is not finite. binding.weights and .sealed are filled in.
void save_checkpoint(const std::filesystem::path& file, const std::filesystem::path& previous,
                     const TrainingState& state, const Counters& counters, const Binding& binding,
                     std::map<std::string, std::string> metadata);

// Fault::input naming the file if it is not a checkpoint of this model and method, or a counter of it is none
// that a run could have had.
CheckpointRecord load_checkpoint(const std::filesystem::path& file, const TrainingState& state);

struct LoadedCheckpoint {
  CheckpointRecord record;
  bool is_previous = false;
};

// The one at `last`, or, if it is damaged or not there, the one before, which leads to the same weights, only
// later; which one that is is told. Nothing if there is neither.
std::optional<LoadedCheckpoint> load_last_of(const std::filesystem::path& last,
                                             const std::filesystem::path& previous,
                                             const TrainingState& state,
                                             const std::function<void(const std::string&)>& tell);

struct RunExtent {
  int epochs = 0;
  int64_t batch = 1, images = 0, batches = 0;  // images of a step and of an epoch, steps of an epoch
};

// Fault::input unless the record is one of a run of this extent and, if it is sealed, of these settings,
// images and this teacher. file: for messages.
void check_belongs(const CheckpointRecord& record, const std::filesystem::path& file, const Binding& now,
                   const RunExtent& run);

}  // namespace retort
