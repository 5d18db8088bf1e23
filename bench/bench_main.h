// What the timing programs do with an error: a line on stderr that begins with their name, and its exit code.
#pragma once
#include <cstdio>
#include <exception>

#include "engine/base/check.h"

namespace retort {

inline int bench_main(const char* program, int (*run)(int, char**), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", program, e.what());
    return int(e.fault());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", program, e.what());
    return 2;
  }
}

}  // namespace retort
