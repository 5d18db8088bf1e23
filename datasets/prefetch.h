// Numbered pieces of work done ahead of the caller by background threads and handed over in order.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace retort {

// Ticket t is worked on in slot t % slots(). The result cannot depend on the number of workers if fill(t,
// slot) is a function of t alone.
class Prefetch {
 public:
  // Fills one slot; called by several threads at once, for different slots.
  using Fill = std::function<void(int64_t ticket, int slot)>;

  // With 0 workers the work is done inside next().
  Prefetch(int workers, Fill fill);

  // One slot is the caller's, one can be ready, and each worker has one.
  static int slots(int workers) { return workers == 0 ? 1 : workers + 2; }

  // Work on tickets first to end - 1, dropping what is left of the range before. Waits for fills under way.
  void start(int64_t first, int64_t end);

  // The slot of the next ticket, or -1 at the end of the range. The slot is the caller's until the next call
  // of next() or start(). What a fill threw is thrown here, again at each call until start().
  int next();

 private:
  void work(std::stop_token stop);
  bool may_fill() const { return to_fill_ < end_ && to_fill_ < oldest_ + int64_t(filled_.size()); }

  Fill fill_;
  std::mutex mutex_;
  std::condition_variable_any for_workers_, for_caller_;
  int64_t to_fill_ = 0, to_take_ = 0, end_ = 0;
  int64_t oldest_ = 0;  // the oldest ticket whose slot is still needed
  int filling_ = 0;
  std::vector<int64_t> filled_;  // per slot: the ticket it holds, -1 for none
  std::vector<std::exception_ptr> errors_;
  std::vector<std::jthread> workers_;  // last: joined before anything they use goes
};

}  // namespace retort
