#include "engine/distributed/tree.h"

#include <algorithm>

#include "engine/base/check.h"

namespace retort {

Part part_of(int64_t images, int parts, int part) {
  const int64_t first = part * images / parts, end = (part + int64_t{1}) * images / parts;
  return {first, end - first};
}

Part OwnParts::images_of(int64_t images, int parts) const {
  const Part begin = part_of(images, parts, first), last = part_of(images, parts, end - 1);
  return {begin.first, last.first + last.count - begin.first};
}

OwnParts parts_of_process(int parts, int processes, int rank) {
  const int each = parts / processes;
  return {each * rank, each * (rank + 1)};
}

int TreeSum::places_for(int parts) {
  int places = 1;
  for (int width = 1; width < parts; width *= 2) ++places;
  return places;
}

int TreeSum::place() const {
  int place = 0;  // the stack holds lower places first, but for absent ones
  for (const Node& node : stack_) place = std::max(place, node.place + 1);
  return place;
}

std::vector<int> TreeSum::way_down() const {
  std::vector<int> places;
  for (auto node = stack_.rbegin(); node != stack_.rend(); ++node)
    if (node->place != absent) places.push_back(node->place);
  return places;
}

void TreeSum::push() {
  take({place(), 0});
}

void TreeSum::skip() {
  take({absent, 0});
}

void TreeSum::take(Node node) {
  stack_.push_back(node);
  while (stack_.size() > 1 && stack_[stack_.size() - 2].level == stack_.back().level) merge_last_two();
}

void TreeSum::merge_last_two() {
  const Node right = stack_.back();
  stack_.pop_back();
  Node& left = stack_.back();
  if (left.place == absent)
    left.place = right.place;  // the lowest that was free
  else if (right.place != absent)
    add_(left.place, right.place);
  ++left.level;
}

bool TreeSum::finish() {
  check(!stack_.empty(), "TreeSum: no parts");
  while (stack_.size() > 1) merge_last_two();
  const bool there = stack_.back().place != absent;
  check(!there || stack_.back().place == 0, "TreeSum: the sum ended in place ", stack_.back().place);
  stack_.clear();
  return there;
}

}  // namespace retort
