#include "engine/base/nearest.h"

#include <algorithm>
#include <numeric>

namespace retort {

namespace {

// Insertions, deletions, substitutions, and swaps of neighbours, none of which touches a letter twice
// (optimal string alignment): typing errors are often swaps.
size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table of distances between the first i letters of a and the first j of b.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string lower = lower_case(name);
  for (const std::string& candidate : candidates)
    if (lower_case(candidate) == lower) return candidate;
  const std::string* best = nullptr;
  size_t smallest = 0;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(lower, lower_case(candidate));
    if (3 * distance > std::max(name.size(), candidate.size())) continue;
    if (best && distance >= smallest) continue;
    best = &candidate;
    smallest = distance;
  }
  return best ? *best : std::string();
}

std::string suggestion(std::string_view name, const std::vector<std::string>& candidates,
                       std::string_view list) {
  const std::string near = nearest(name, candidates);
  if (!near.empty()) return "did you mean '" + near + "'?";
  if (!list.empty()) return std::string(list);
  std::string all;
  for (const std::string& candidate : candidates)
    all += (all.empty() ? "expected one of " : ", ") + candidate;
  return all.empty() ? "there is none to name" : all;
}

}  // namespace retort
