// report.json as it is read again: a study that was published without its runs.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "distill/study/grouping.h"

namespace retort {

struct PublishedReport {
  std::string title;
  // Of a report that holds its runs' settings: they join others like runs in folders. `teachers` are the
  // results of their teachers, by the hash of the weights.
  std::vector<FoundRun> runs;
  std::map<std::string, Summary> teachers;
  std::map<std::string, PublishedClasses> classes;  // by pair
  // Of one of an older version, which does not: its tables as they were.
  std::vector<ResultPair> pairs;
  std::vector<std::string> missing;  // what it says is not complete; and that it is unbound
  bool bound = true;                 // false: of an older program, without a hash of its own
};

// Fault::input naming the file if it is no such report, or not what was written there; every number in it is
// finite and in its range.
PublishedReport read_published_report(const std::filesystem::path& file);

}  // namespace retort
