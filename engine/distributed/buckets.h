// The gradients of a step as they become ready: which ranges of them can be summed over the processes while
// backward goes on.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace retort {

// A flat tensor in ranges of whole parts, counted from its end, where backward begins. Every process hands on
// the same ranges in the same order, whatever the order in which its parts are ready.
class Buckets {
 public:
  // parts: where each begins, ascending; of `size` numbers in all. A range has at least so many, but the
  // last.
  Buckets(const std::vector<int64_t>& parts, int64_t size, int64_t least);

  using Take = std::function<void(int64_t first, int64_t count)>;
  // Takes the ranges that are whole with this part. Once for each part in a step.
  void ready(size_t part, const Take& take);
  // Takes what is left, whether ready or not, and begins anew.
  void finish(const Take& take);

 private:
  struct Range {
    size_t part;  // the first in it
    int64_t first, count;
  };
  std::vector<Range> ranges_;  // from the end
  std::vector<bool> ready_;    // parts
  size_t lowest_;              // all parts from here on are ready
  size_t next_ = 0;            // the range to be taken next
};

}  // namespace retort
