// Where the doubles of MPI's plugins lie.
#pragma once
#include <string>

namespace retort::testing {

std::string plugins_folder();  // see paths.h

}  // namespace retort::testing
