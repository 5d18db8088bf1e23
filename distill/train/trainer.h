// The training loop: one run, from what it is assembled of to its folder.
#pragma once
#include <string>
#include <vector>

#include "distill/run/progress.h"
#include "distill/run/run_folder.h"
#include "distill/run/run_record.h"
#include "distill/run/stop_signal.h"
#include "distill/train/assembly.h"

namespace retort {

// Trains run.student, alone or with a teacher, and leaves everything in the folder: config.toml, metrics.csv,
// checkpoints, TensorBoard events, curves, summary.json. With resume it continues the folder's last
// checkpoint, to the same bits as a run that was never stopped; without one there it starts anew. arguments:
// the command line, for the record.
//
// Returns with status "finished", or "stopped" after a signal and a last checkpoint. A loss or weight that is
// not finite is Fault::diverged; the last good checkpoint stays.
Summary train(Assembly& run, const RunFolder& folder, bool resume, Progress& progress, const StopSignal& stop,
              const std::vector<std::string>& arguments);

}  // namespace retort
