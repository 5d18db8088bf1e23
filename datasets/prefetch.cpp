#include "datasets/prefetch.h"

namespace retort {

Prefetch::Prefetch(int workers, Fill fill)
    : fill_(std::move(fill)), filled_(size_t(slots(workers)), -1), errors_(size_t(slots(workers))) {
  workers_.reserve(size_t(workers));
  for (int i = 0; i < workers; ++i) workers_.emplace_back([this](std::stop_token stop) { work(stop); });
}

void Prefetch::start(int64_t first, int64_t end) {
  std::unique_lock lock(mutex_);
  end_ = to_fill_;  // nobody begins another ticket
  for_caller_.wait(lock, [&] { return filling_ == 0; });
  to_fill_ = to_take_ = oldest_ = first;
  end_ = end;
  filled_.assign(filled_.size(), -1);
  errors_.assign(errors_.size(), nullptr);
  lock.unlock();
  for_workers_.notify_all();
}

int Prefetch::next() {
  std::unique_lock lock(mutex_);
  if (to_take_ >= end_) return -1;
  const auto slot = size_t(to_take_ % int64_t(filled_.size()));
  if (workers_.empty()) {
    fill_(to_take_, int(slot));
  } else {
    oldest_ = to_take_;  // the slot handed out before is free now
    for_workers_.notify_one();
    for_caller_.wait(lock, [&] { return filled_[slot] == to_take_; });
    if (errors_[slot]) std::rethrow_exception(errors_[slot]);
  }
  ++to_take_;
  return int(slot);
}

void Prefetch::work(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (for_workers_.wait(lock, stop, [&] { return may_fill(); })) {
    const int64_t ticket = to_fill_++;
    const auto slot = size_t(ticket % int64_t(filled_.size()));
    ++filling_;
    lock.unlock();
    std::exception_ptr error;
    try {
      fill_(ticket, int(slot));
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    --filling_;
    filled_[slot] = ticket;
    errors_[slot] = error;
    for_caller_.notify_one();
  }
}

}  // namespace retort
