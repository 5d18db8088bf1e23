// Other programs, started directly: no shell sees the arguments.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

struct ProcessResult {
  int status = 0;      // exit status; 128 + number if a signal ended it
  std::string output;  // what it wrote to stdout, if that was asked for
};

// Runs argv[0], looked up in PATH, and waits. Its stdin is empty, its stderr is ours; its stdout is returned
// if `capture`, else it is our stderr. A program that is not installed is a Fault::input that names it and
// what needs it.
ProcessResult run_process(const std::vector<std::string>& argv, bool capture, const std::string& needed_for);

}  // namespace retort
