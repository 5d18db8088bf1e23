// What a run leaves for its reader: env.json, how it was made, and summary.json, what came out.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "distill/run/commit.h"
#include "distill/run/machine.h"
#include "distill/text/metric.h"

namespace retort {

struct Environment {
  std::string version;   // of retort
  Commit commit;         // that it was built from
  std::string compiler;  // "GNU 12.2.0, Release"
  std::string system;    // "Linux 6.1.0 x86_64"
  std::string host;
  Machine machine;
  std::string started;                           // UTC
  std::string device;                            // the one in use: "onednn"
  std::vector<std::string> devices;              // what there is, in words: "CPU: ..., AVX-512, 2 threads"
  std::map<std::string, std::string> libraries;  // name and version in use
  std::vector<std::string> arguments;            // the whole command line
  uint64_t seed = 0;
  std::string data;       // as given to --data
  std::string data_hash;  // of what was read
  std::string teacher_hash;  // of the teacher's weights
  // How "student" and "teacher" see images: "mean ..., std ...".
  std::map<std::string, std::string> normalization;
};

// With the first seven filled in.
Environment this_environment();

// Writes env.json, sealed; for a resumed run it keeps what is there and adds this one to the list "resumed".
void write_environment(const std::filesystem::path& file, const Environment& environment, bool resumed);

// What an env.json says, held to its hash where it has one. Fault::input, naming the file, for what no run
// wrote.
nlohmann::ordered_json read_environment(const std::filesystem::path& file);

// The data_hash that an env.json holds, empty if the file is not there or has none.
std::string recorded_data_hash(const std::filesystem::path& file);

// One epoch's result on held-out images, in the order of the run's metrics.
struct EpochResult {
  int epoch = 0;
  MetricValues values;

  double first() const { return first_of(values); }  // of the metric that chooses the best epoch
  bool measured() const { return !values.empty() && values[0].is_measured(); }  // the first
  double value(const std::string& name) const { return value_of(values, name); }
};

struct Summary {
  std::string status;   // "running", "finished", "stopped", "diverged"
  std::string command;  // "train", "distill"
  std::string model, teacher, method, data, device;
  uint64_t seed = 0;
  int views = 162;  // of an image in training; fewer than all is said beside every result
  int epochs = 0, epochs_done = 0;
  double seconds = 0;   // of training and testing, over all resumes
  std::string best_by;  // what chose `best`: "test" (the best test epoch, as papers do) or "validation"
  std::optional<EpochResult> best, last;
  std::string weights_hash;  // of the last weights
  std::string teacher_hash = {};  // of the weights that taught it; empty without a teacher, or of an older version
  int64_t bad_pictures = 0;       // that could not be read in training; the next ones took their place
  bool sealed = true;             // false: read from a file of 0.1.0
  Metrics metrics = classification_metrics();
};

// JSON of every metric, {name: {unit, better: "higher" or "lower", best, last}}; null where there is no epoch yet.
std::string metrics_json(const Summary& summary);

// Atomically, sealed. A number that is not finite becomes null, and NaN on reading.
void write_summary(const std::filesystem::path& file, const Summary& summary);

// Fault::input, naming the file and what is wrong, unless write_summary could have written it.
Summary read_summary(const std::filesystem::path& file);

}  // namespace retort
