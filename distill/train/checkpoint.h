// A run's state between two steps: everything that a resumed run needs to go on to the same bits.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/settings/settings.h"
#include "distill/train/counters.h"
#include "distill/train/weight_average.h"
#include "models/model.h"

namespace retort {

// What binds a checkpoint to the folder that it lies in, see settings_hash(). Empty in one of 0.1.0.
struct Binding {
  std::string settings, data, teacher;  // hashes: of what decides, of the images, of the teacher's weights
  MetricsTable metrics;                 // all epochs so far
  std::string weights;                  // weights_hash() of the model in it
  bool sealed = false;                  // false: of 0.1.0
};

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

// The XXH3 by which a checkpoint knows the settings it was trained with. How many epochs there will be does
// not change what was trained so far. Keys at their defaults are left out: one that a later program adds, with a
// default that means what was done before, changes no hash.
std::string settings_hash(RunSettings settings);

// Atomically, the one before kept as `previous` (unless empty). Fault::diverged, nothing written, if a weight
// is not finite. binding.weights and .sealed are filled in.
void save_checkpoint(const std::filesystem::path& file, const std::filesystem::path& previous,
                     const TrainingState& state, const Counters& counters, const Binding& binding,
                     std::map<std::string, std::string> metadata);

struct CheckpointRecord {
  Counters counters;
  Binding binding;
};

// Fault::input naming the file if it is not a checkpoint of this model and method, or a counter of it is none
// that a run could have had.
CheckpointRecord load_checkpoint(const std::filesystem::path& file, const TrainingState& state);

// The one at `last`, or, if it is damaged or not there, the one before, which leads to the same weights, only
// later; what was damaged is told. Nothing if there is neither.
std::optional<CheckpointRecord> load_last_of(const std::filesystem::path& last,
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

// The same without state: from the file's header alone.
CheckpointRecord read_checkpoint_record(const std::filesystem::path& file);

}  // namespace retort
