#include "engine/distributed/buckets.h"

#include "engine/base/check.h"

namespace retort {

Buckets::Buckets(const std::vector<int64_t>& parts, int64_t size, int64_t least)
    : ready_(parts.size(), false), lowest_(parts.size()) {
  int64_t end = size;
  for (size_t i = parts.size(); i > 0; --i) {
    const int64_t first = i == 1 ? 0 : parts[i - 1];
    check(first <= end, "Buckets: part ", i - 1, " begins at ", first, ", beyond ", end);
    if (i > 1 && end - first < least) continue;
    ranges_.push_back({i - 1, first, end - first});
    end = first;
  }
}

void Buckets::ready(size_t part, const Take& take) {
  check(part < ready_.size() && !ready_[part], "Buckets: part ", part, " of ", ready_.size(),
        " is ready twice");
  ready_[part] = true;
  while (lowest_ > 0 && ready_[lowest_ - 1]) --lowest_;
  for (; next_ < ranges_.size() && ranges_[next_].part >= lowest_; ++next_)
    take(ranges_[next_].first, ranges_[next_].count);
}

void Buckets::finish(const Take& take) {
  for (; next_ < ranges_.size(); ++next_) take(ranges_[next_].first, ranges_[next_].count);
  ready_.assign(ready_.size(), false);
  lowest_ = ready_.size();
  next_ = 0;
}

}  // namespace retort
