// What a checkpoint says beside its tensors: where its run stood, and what binds it to the folder it lies in.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "distill/run/counters.h"
#include "distill/run/metrics_csv.h"
#include "distill/settings/settings.h"

namespace retort {

// What binds a checkpoint to the folder that it lies in, see settings_hash(). Empty in one of 0.1.0.
struct Binding {
  std::string settings, data, teacher;  // hashes: of what decides, of the images, of the teacher's weights
  MetricsTable metrics;                 // all epochs so far
  std::string weights;                  // weights_hash() of the model in it
  bool sealed = false;                  // false: of 0.1.0
  // Keys that came later: ConvTuning::record() of a run that measures, and the hash of the test images alone.
  std::optional<std::string> convolutions = {};
  std::string test = {};
};

struct CheckpointRecord {
  Counters counters;
  Binding binding;
};

// The XXH3 by which a checkpoint knows the settings it was trained with. How many epochs there will be does
// not change what was trained so far. Keys at their defaults are left out: one that a later program adds,
// with a default that means what was done before, changes no hash.
std::string settings_hash(RunSettings settings);

inline constexpr const char* test_hash_key = "test_hash";  // of Binding::test, in the metadata

// Into a file's metadata, but for binding.weights and .sealed, and out of it: Fault::input, naming the file,
// for what is no checkpoint's, or has a counter that no run could have had.
void put_record(const Counters& counters, const Binding& binding,
                std::map<std::string, std::string>& metadata);
CheckpointRecord record_of(const std::map<std::string, std::string>& metadata, const std::string& file);

// The same from a file's header alone: its tensors are not looked at.
CheckpointRecord read_checkpoint_record(const std::filesystem::path& file);

// file: last, previous or best of the run in `folder`, as RunFolder names them. Fault::input, naming it,
// unless it is of this run: its settings are those of config.toml; images, teacher and the epochs that both
// have are those of the last checkpoint; and best is the epoch that the last one names. Of files of 0.1.0,
// which have no hashes, the counters alone are held. one: what the file says, where it was read already.
void check_of_run(const std::filesystem::path& folder, const std::filesystem::path& file,
                  const CheckpointRecord& one);
void check_of_run(const std::filesystem::path& folder, const std::filesystem::path& file);

// Whether the checkpoint stands at the end of the run's best epoch: then it is what best.safetensors has to
// be.
bool is_best(const Counters& counters);

}  // namespace retort
