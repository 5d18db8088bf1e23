// Whether files are what the program wrote: every hash, and that the files of a run belong together. Nothing
// is changed.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

struct CheckedFile {
  enum class Status {
    ok,       // its hash is right, and it belongs to the files beside it
    unbound,  // can be read, and has nothing by which damage would show
    damaged,  // its hash is wrong, it cannot be read, or it contradicts the files beside it
    missing   // ought to be there
  };
  std::filesystem::path path;
  Status status = Status::ok;
  std::string reason;  // of any other status than ok
  std::string remedy;  // a command that makes it whole again; empty: there is none
};
const char* name_of(CheckedFile::Status status);

struct CheckResult {
  std::string kind;  // "run", "seeds", "study", "runs", "weights", "network", "cache"
  std::vector<CheckedFile> files;
  bool ok() const;  // nothing is damaged or missing
};

// A run's folder, one of several seeds, a study's, one with runs in it, a file of weights or of the C
// library. Fault::input if there is nothing at `path`, or nothing of these.
CheckResult check_path(const std::filesystem::path& path);

// The cache folder: stored logits and measured convolutions.
CheckResult check_cache(const std::filesystem::path& cache);

}  // namespace retort
