// What `retort check` says of a file, and how it is found out.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
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
  std::string kind;  // "run", "seeds", "study", "runs", "report", "weights", "network", "cache"
  std::vector<CheckedFile> files;
  bool ok() const;  // nothing is damaged or missing
};

// Reads a file that ought to be there; `read` throws what is wrong with it and returns whether it has a hash.
// The remedy stands with whatever does not hold.
CheckedFile checked(const std::filesystem::path& file, const std::string& remedy,
                    const std::function<bool()>& read);

// A file of JSON, discarded() if it is none. Fault::input, naming it, if it is nested deeper than anything of
// ours.
nlohmann::ordered_json read_json(const std::filesystem::path& file);

// A message without the file's name, which stands beside it.
std::string reason_in(const std::string& message, const std::filesystem::path& file);

}  // namespace retort
