// Errors: every failure of the project is an Error that says which operation failed, what was found, what
// was expected and what to do, and carries the fault that decides the program's exit code.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace retort {

// The value is the program's exit code.
enum class Fault {
  internal = 1,      // a bug of ours
  usage = 2,         // bad settings or arguments, an existing or locked run folder
  input = 3,         // a file or folder named as input is missing, unreadable or corrupt
  write = 4,         // writing failed: disk full, permission
  diverged = 5,      // a loss that is not finite
  memory = 6,        // out of memory
  device = 7,        // the device asked for is not available
  verification = 8,  // a comparison that had to hold did not
  lost = 9,          // another process of the run does not answer any more
};

class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const { return fault_; }

 private:
  Fault fault_;
};

// Concatenates its arguments with operator<<.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(Fault fault, const Parts&... parts) {
  throw Error(fault, text(parts...));
}

// Throws Error(fault, parts...) unless ok; the message is only built on failure.
template <class... Parts>
void check(bool ok, Fault fault, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(fault, parts...);
}

// The same for a broken contract between parts of the program (wrong shape, wrong type).
template <class... Parts>
void check(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(Fault::internal, parts...);
}

}  // namespace retort
