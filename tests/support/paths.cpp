#include "tests/support/paths.h"

#include <cstdlib>

#include "tests/support/plugin_paths.h"

namespace retort::testing {

namespace {

std::string path_or(const char* variable, const char* built) {
  const char* given = std::getenv(variable);
  return given && *given ? given : built;
}

}  // namespace

std::string data_folder() {
  return path_or("RETORT_TEST_DATA", RETORT_TEST_DATA);
}
std::string program_file() {
  return path_or("RETORT_PROGRAM", RETORT_PROGRAM);
}
std::string recipes_folder() {
  return path_or("RETORT_RECIPES", RETORT_RECIPES);
}

std::string plugins_folder() {
  return path_or("RETORT_TEST_PLUGINS", RETORT_TEST_PLUGINS);
}

}  // namespace retort::testing
