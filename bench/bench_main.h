// What the timing programs share: options of the program's own kind (cli/options.h), and what is done with an
// error: a line on stderr that begins with their name, and its exit code.
#pragma once
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/base/check.h"

namespace retort {

inline int bench_main(const char* program, int (*run)(const std::vector<std::string>&), int argc,
                      char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", program, e.what());
    return int(e.fault());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", program, e.what());
    return int(Fault::internal);
  }
}

}  // namespace retort
