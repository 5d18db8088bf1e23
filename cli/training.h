// What train and distill share.
#pragma once
#include "cli/commands.h"
#include "cli/options.h"

namespace retort {

// options: with the command's name, summary and examples; everything else is declared here.
int run_training(Options options, const Arguments& arguments);

}  // namespace retort
