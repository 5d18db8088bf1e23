// Trainer: one run, from its settings to its folder.
#pragma once
#include "datasets/image_set.h"
#include "distill/run/progress.h"
#include "distill/run/run_folder.h"
#include "distill/run/run_record.h"
#include "distill/run/stop_signal.h"
#include "distill/settings/settings.h"

namespace retort {

// Trains settings.model, alone or with a teacher, and leaves everything in the folder: config.toml,
// metrics.csv, checkpoints, TensorBoard events, curves, summary.json. settings are resolved (see resolve());
// data is what settings.data.spec names. With resume it continues the folder's last checkpoint, to the same
// bits as a run that was never stopped; without one there it starts anew.
//
// Returns with status "finished", or "stopped" after a signal and a last checkpoint. A loss or weight that is
// not finite is Fault::diverged; the last good checkpoint stays. Other faults: what the settings, the weights
// and the folder give rise to.
//
// profile: after some steps to warm up, 20 are measured kernel by kernel; a table goes to progress, a trace
// into the folder.
Summary train(const RunSettings& settings, const DataSet& data, const RunFolder& folder, bool resume,
              Progress& progress, const StopSignal& stop, const std::vector<std::string>& arguments,
              bool profile = false);

}  // namespace retort
