// A run's state between two steps: everything that a resumed run needs to go on to the same bits.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "distill/evaluate/metric_totals.h"
#include "distill/run/run_record.h"
#include "engine/optim.h"
#include "models/model.h"

namespace retort {

struct Counters {
  int epoch = 1;      // in progress, from 1
  int64_t batch = 0;  // batches of it that are done
  double seconds = 0;
  double epoch_seconds = 0;  // of the epoch in progress
  double best_score = -1;    // what chose `best`, percent
  std::optional<EpochResult> best, last;
  MetricTotals::Values totals;  // of the epoch in progress
};

// What is saved, apart from the counters.
struct TrainingState {
  Model& model;
  Module& distiller;  // what the method learns besides the model
  Sgd& optimizer;
  Device& device;
};

// What the optimizer moves: the model's parameters, then the method's as "distiller.NAME".
std::vector<NamedParameter> learned_parameters(Model& model, Module& distiller);

// Atomically, the one before kept as `previous` (unless empty). Fault::diverged, nothing written, if a weight
// is not finite.
void save_checkpoint(const std::filesystem::path& file, const std::filesystem::path& previous,
                     const TrainingState& state, const Counters& counters,
                     std::map<std::string, std::string> metadata);

// Fault::input naming the file if it is not a checkpoint of this model and method.
Counters load_checkpoint(const std::filesystem::path& file, const TrainingState& state);

}  // namespace retort
