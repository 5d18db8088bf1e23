// The whole program as a function, for programs that bring methods, networks or data sets of their own:
//
//   int main(int argc, char** argv) {
//     retort::add_method({...});
//     return retort::main(argc, argv);
//   }
//
// See tests/examples/own_program.cpp. Link to retort::program.
#pragma once
#include "datasets/added.h"
#include "distill/methods/added.h"
#include "models/added.h"

namespace retort {

// What `retort` does with these arguments; returns its exit code. Throws nothing.
int main(int count, char** arguments);

}  // namespace retort
