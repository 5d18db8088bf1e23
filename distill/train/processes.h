// Several processes train one run: what they have to have alike, before the first step and at every
// checkpoint.
#pragma once
#include <string>

#include "distill/train/assembly.h"

namespace retort {

// On all, naming rank and host, if one was built from other sources (Fault::verification), has other settings
// (usage), other images (input), another teacher or other weights (verification) than the first.
void check_alike(const Assembly& run);

// The student's weights and statistics, as they are trained: Fault::verification on all if one has others.
void check_weights_alike(Assembly& run);

// "Open MPI v4.1.4", "TCP, gradients over NCCL 2.28.3"
std::string exchange_library(const Assembly& run);

// "4 processes over Open MPI v4.1.4 on HOST (4): each batch in 4 parts, 1 thread each"
std::string processes_text(const Assembly& run);

// "exchanged 12.345 MB in 1.23 s": what this process has sent to add numbers up.
std::string exchange_text(const Communicator& world);

}  // namespace retort
