// Where the tests find their data, the program and the recipes: in the folders that they were built from, or,
// where the test program was carried to another machine, where the environment says.
#pragma once
#include <string>

namespace retort::testing {

std::string data_folder();
std::string program_file();
std::string recipes_folder();

}  // namespace retort::testing
