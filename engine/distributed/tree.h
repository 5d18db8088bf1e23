// The order in which parts of a batch are added: a binary tree over their places, ((0+1)+(2+3))+..., where an
// odd one moves up. Whoever holds a power of two of neighbouring parts holds a whole subtree: so the sum has
// the same bits for every number of processes that the parts are dealt out to.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace retort {

// The images [first, first + count) of a batch.
struct Part {
  int64_t first = 0, count = 0;
};

// Part `part` of `parts` of a batch of so many images: [part n / parts, (part + 1) n / parts). It may be
// empty.
Part part_of(int64_t images, int parts, int part);

// The parts [first, end) that one of so many processes computes; as many for each.
struct OwnParts {
  int first = 0, end = 1;

  Part images_of(int64_t images, int parts) const;  // of a batch, those in them
};
OwnParts parts_of_process(int parts, int processes, int rank);

// Adds parts up as they come, in places that are used again: place 0 holds the sum in the end.
class TreeSum {
 public:
  // add(to, from): what is at place `from` is added to what is at `to`.
  using Add = std::function<void(int to, int from)>;
  explicit TreeSum(Add add) : add_(std::move(add)) {}

  // Places that so many parts need, log2 of them and one more.
  static int places_for(int parts);

  // Where the next part is to be written; then push() or, of a part that is empty, skip().
  int place() const;
  void push();
  void skip();
  // Where the next part is added to if it is the last that is not empty: to the first of these places, which
  // is added to the second, and so on; place 0 is the last.
  std::vector<int> way_down() const;
  // Adds what is left. False if every part was empty, and there is no sum.
  bool finish();

 private:
  static constexpr int absent = -1;
  struct Node {
    int place, level;
  };
  void take(Node node);
  void merge_last_two();

  Add add_;
  std::vector<Node> stack_;
};

}  // namespace retort
