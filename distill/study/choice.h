// A part of a study, by name: the rest of it is not run.
#pragma once
#include <string>
#include <vector>

#include "distill/study/study.h"

namespace retort {

// Marks the pairs and methods that are meant; an empty list means all. only: names of pairs; without the
// variant it is all variants of the pair. methods: labels, several in one text between commas (labels may
// have commas themselves). Fault::usage, naming the nearest, for what the study does not have.
void choose(Study& study, const std::vector<std::string>& only, const std::vector<std::string>& methods);

// What was not chosen, as the tables say it: "pair a-b", "method kd". Empty where all is.
std::vector<std::string> not_chosen(const Study& study);

}  // namespace retort
