#include "distill/run/named_weights.h"

#include "distill/run/checkpoint_record.h"
#include "distill/run/run_folder.h"
#include "engine/base/check.h"

namespace retort {

WeightsSpec weights_spec(const std::string& spec) {
  const std::string suffix = ":best";
  if (!spec.ends_with(suffix)) return {spec, false};
  return {spec.substr(0, spec.size() - suffix.size()), true};
}

namespace {

namespace fs = std::filesystem;

fs::path file_of_run(const fs::path& run, bool best) {
  check(RunFolder::is_run(run), Fault::input, run.string(), ": is not the folder of a run (no config.toml)");
  const fs::path file = best ? RunFolder::best_of(run) : RunFolder::last_of(run);
  const bool lost = !best && fs::exists(RunFolder::previous_of(run));
  check(fs::exists(file), Fault::input, run.string(), ": the run has no ", file.filename().string(),
        lost ? "; the checkpoint before it is there, and --resume goes on from that" : " yet");
  check_of_run(run, file);
  return file;
}

}  // namespace

fs::path weights_path(const std::string& spec) {
  const WeightsSpec named = weights_spec(spec);
  const bool best = named.best && !fs::exists(spec);
  const fs::path path = best ? named.path : spec;
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  check(fs::exists(status), Fault::input, path.string(),
        ": no such file or folder; expected weights (.safetensors, .pth) or a run's folder");
  if (fs::is_directory(status)) return file_of_run(path, best);
  check(!best, Fault::input, path.string(), ": is a file; ':best' goes behind a run's folder");
  return path;
}

Weights read_weights(const std::string& spec, const ReadWeights& options) {
  Weights weights = open_weights(weights_path(spec), options);
  weights.source = spec;
  return weights;
}

}  // namespace retort
