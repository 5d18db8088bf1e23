#include "engine/arena.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "engine/base/check.h"
#include "engine/kernels/address_sanitizer.h"

namespace retort {

namespace {

constexpr char margin_byte = 0x5A;

size_t rounded(size_t bytes) {
  bytes = std::max<size_t>(bytes, 1);
  return (bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment;
}

}  // namespace

Arena::~Arena() {
  for (const Chunk& chunk : chunks_) {
    unpoison(chunk.data, chunk.bytes);
    memory_.release(chunk.data, chunk.bytes);
  }
}

size_t Arena::capacity() const {
  size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.bytes;
  return total;
}

Hold Arena::take(size_t bytes) {
  const size_t wanted = bytes;
  bytes = rounded(bytes) + 2 * margin();
  auto fits = [&](const Range& range) { return range.bytes >= bytes; };
  auto place = std::find_if(free_.begin(), free_.end(), fits);
  if (place == free_.end()) {
    grow(bytes);
    place = std::find_if(free_.begin(), free_.end(), fits);
  }
  char* data = place->data;
  place->data += bytes;
  place->bytes -= bytes;
  if (place->bytes == 0) free_.erase(place);

  uint32_t record;
  if (spare_records_.empty()) {
    record = uint32_t(records_.size());
    records_.emplace_back();
  } else {
    record = spare_records_.back();
    spare_records_.pop_back();
  }
  records_[record] = {data, bytes, wanted, 1};
  in_use_ += bytes;
  peak_ = std::max(peak_, in_use_);
  trace_ = (trace_ ^ uint64_t(reinterpret_cast<uintptr_t>(data))) * 0x9E3779B97F4A7C15ull + bytes;
  unpoison(data + margin(), wanted);
  if (guard_) write_margins(records_[record]);
  return Hold(*this, record);
}

void Arena::write_margins(const Record& r) const {
  unpoison(r.data, r.bytes);
  std::memset(r.data, margin_byte, margin());
  std::memset(r.data + margin() + r.wanted, margin_byte, r.bytes - margin() - r.wanted);
}

bool Arena::margins_intact(const Record& r) const {
  const auto untouched = [](char c) { return c == margin_byte; };
  return std::all_of(r.data, r.data + margin(), untouched) &&
         std::all_of(r.data + margin() + r.wanted, r.data + r.bytes, untouched);
}

void Arena::give_back(uint32_t record) {
  const Record record_copy = records_[record];
  char* const data = record_copy.data;
  const size_t bytes = record_copy.bytes;
  if (guard_ && !margins_intact(records_[record])) ++violations_;
  spare_records_.push_back(record);
  in_use_ -= bytes;
#ifndef NDEBUG
  if (memory_.host_addressable())
    std::memset(data + margin(), 0xFF, record_copy.wanted);  // NaN in every float type
#endif
  poison(data, bytes);

  auto next = std::upper_bound(free_.begin(), free_.end(), data,
                               [](const char* a, const Range& range) { return a < range.data; });
  auto starts_chunk = [&](const char* at) {  // chunks may be neighbours in memory; never merge across them
    return std::any_of(chunks_.begin(), chunks_.end(), [&](const Chunk& chunk) { return chunk.data == at; });
  };
  const bool joins_next = next != free_.end() && data + bytes == next->data && !starts_chunk(next->data);
  const bool joins_previous =
      next != free_.begin() && std::prev(next)->data + std::prev(next)->bytes == data && !starts_chunk(data);
  if (joins_previous && joins_next) {
    std::prev(next)->bytes += bytes + next->bytes;
    free_.erase(next);
  } else if (joins_previous) {
    std::prev(next)->bytes += bytes;
  } else if (joins_next) {
    next->data = data;
    next->bytes += bytes;
  } else {
    free_.insert(next, {data, bytes});
  }
}

void Arena::grow(size_t bytes) {
  steady_ = false;
  // At least a quarter of what is there: few chunks while a first step finds its size.
  const size_t size = rounded(std::max({bytes, capacity() / 4, size_t(1) << 20}));
  char* data = static_cast<char*>(memory_.allocate(size));
  chunks_.push_back({data, size});
  poison(data, size);
  auto next = std::upper_bound(free_.begin(), free_.end(), data,
                               [](const char* a, const Range& range) { return a < range.data; });
  free_.insert(next, {data, size});
}

void Arena::rewind() {
  check(in_use_ == 0, "Arena::rewind: ", in_use_,
        " bytes are still in use; a Var or Tensor outlived its step");
  trace_ = 0;
  steady_ = chunks_.size() <= 1;
  if (steady_) return;
  ++generation_;
  const size_t total = capacity();
  for (const Chunk& chunk : chunks_) {
    unpoison(chunk.data, chunk.bytes);
    memory_.release(chunk.data, chunk.bytes);
  }
  chunks_.clear();
  free_.clear();
  grow(total);
}

}  // namespace retort
