#include "cli/python/retort_record.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/python/answer.h"
#include "distill/run/sealed.h"
#include "distill/study/checked_file.h"
#include "distill/study/recorded_run.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// A pipe would be waited for.
bool there(const fs::path& file) {
  std::error_code ignored;
  const fs::file_status status = fs::status(file, ignored);
  check(!fs::exists(status) || fs::is_regular_file(status), Fault::input, file.string(), ": is no file");
  return fs::exists(status);
}

// Whether the file has a hash; Fault::input if it is not the file's.
bool check_json(const fs::path& file) {
  return check_seal(read_json(file), file);
}

// What is to be said of a folder that can be believed.
std::string check_run(const fs::path& folder) {
  const fs::path config = folder / "config.toml", summary = folder / "summary.json",
                 metrics = folder / "metrics.csv", environment = folder / "env.json";
  const bool has_summary = there(summary), has_metrics = there(metrics);
  check(there(config), Fault::input, folder.string(), ": is no run's folder, expected one with config.toml");
  const RecordedRun run = read_recorded_run(folder);
  // What is made from the checkpoint instead is not what the file says.
  if (has_summary) read_summary(summary);
  check(!has_metrics || !run.metrics_made, Fault::input, metrics.string(),
        ": holds other epochs than the run's checkpoint; retort check ", folder.string(), " says which");
  check(!there(environment) || check_json(environment) || !run.bound, Fault::input, environment.string(),
        ": is damaged: its hash is missing");
  std::string note = run.bound ? "" : unbound_note(folder);
  for (const std::string& line : run.notes) note += (note.empty() ? "" : "; ") + line;
  return note;
}

std::string check_record(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return check_run(path);
  check(there(path), Fault::input, path.string(), ": no such file");
  return check_json(path) ? "" : unbound_note(path);
}

}  // namespace

}  // namespace retort

extern "C" retort_code retort_check_record(const char* path, char* message, size_t message_bytes) {
  return retort::answer(message, message_bytes, [&] {
    retort::check(path, retort::Fault::input, "check_record: the path is a null pointer");
    retort::tell(message, message_bytes, retort::check_record(path).c_str());
  });
}
