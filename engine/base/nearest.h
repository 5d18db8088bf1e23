// The known name nearest to a mistyped one, for messages.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace retort {

// Smallest edit distance (insertions, deletions, substitutions, swaps of neighbours), the first at a tie;
// empty if there is no candidate.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace retort
