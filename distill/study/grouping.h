// Runs from anywhere put into pairs and rows, by what they are: their settings, data and teacher. Where they
// lie, how their folders are called and in which order they come decides nothing but names and places in the
// table.
#pragma once
#include <string>
#include <vector>

#include "distill/study/results.h"

namespace retort {

struct FoundRun {
  ResultRun run;
  RunSettings settings;
  std::string data_hash, teacher_hash;  // empty where they are not known
  std::string teacher_weights;          // where they are now; empty where they are not found
  // As the study that it belongs to calls it, and where it stands there; empty in a folder of runs.
  std::string label, pair;
  size_t order = size_t(-1);
};

// Pairs in the order of their studies, then by name. A row whose training differs from that of the pair's KD
// (more epochs, other images) stands in the pair's table and is marked as apart, unless there is a KD with
// its training too: then the two stand in two tables. A student without a teacher stands beside each pair of
// its network and data.
std::vector<ResultPair> group_runs(const std::vector<FoundRun>& runs);

}  // namespace retort
