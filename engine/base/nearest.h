// The known name that a mistyped one may stand for, for messages.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace retort {

// The candidate that differs in upper and lower case alone; else the one at the smallest edit distance
// (insertions, deletions, substitutions, swaps of neighbours; the first at a tie), if that is at most a third
// of the longer name's letters: what is further away is no slip but another word. Empty if there is none.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

// The end of a message about an unknown name: "did you mean 'pcd'?" where one is near, else `list`, which
// says where all are to be found, or where that is empty all of them: "expected one of ce, kd, pcd".
std::string suggestion(std::string_view name, const std::vector<std::string>& candidates,
                       std::string_view list = "");

}  // namespace retort
