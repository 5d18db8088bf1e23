// Where the tests find their data, the program and the recipes: in the folders that they were built from, or,
// where the test program was carried to another machine, where the environment says.
#pragma once
#include <cstdlib>
#include <string>

namespace retort::testing {

inline std::string path_or(const char* variable, const char* built) {
  const char* given = std::getenv(variable);
  return given && *given ? given : built;
}

inline std::string data_folder() {
  return path_or("RETORT_TEST_DATA", RETORT_TEST_DATA);
}
inline std::string program_file() {
  return path_or("RETORT_PROGRAM", RETORT_PROGRAM);
}
inline std::string recipes_folder() {
  return path_or("RETORT_RECIPES", RETORT_RECIPES);
}

}  // namespace retort::testing
