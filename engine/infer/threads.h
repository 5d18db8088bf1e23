// The threads of one network, and their scratch: POSIX threads that sleep between predictions.
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/cpu/workers.h"

namespace retort::infer {

constexpr int most_threads = 64;

// Lies in the network's memory, which is zeroed: no constructors.
class Threads {
 public:
  // `count` threads, the caller among them; scratch has count blocks of scratch_bytes, aligned to 64. False
  // if the system gives no thread; none is left then.
  bool start(int count, char* scratch, size_t scratch_bytes);
  void stop();
  int count() const { return count_; }
  // Its functions refer to this object, which must stay where it is.
  Workers workers(Isa isa) { return Workers(this, {run, thread_scratch, nullptr}, isa); }

 private:
  struct Start {
    Threads* threads;
    int number;
  };
  static void run(void* self, int64_t tasks, Workers::Call call, const void* task);
  static void* thread_scratch(void* self, int thread, size_t bytes);
  static void* worker(void* start);
  void work(int number);

  pthread_mutex_t mutex_;
  pthread_cond_t wake_;
  pthread_t handles_[most_threads];
  Start starts_[most_threads];
  int count_;
  int forks_;  // of the process that started them: in a child by fork() its caller does all the work
  char* scratch_;
  size_t scratch_bytes_;
  Workers::Call call_;
  const void* task_;
  int32_t tasks_;
  int32_t next_;    // atomic, as those below
  int32_t busy_;    // workers still in this round
  uint32_t round_;  // one more with every run
  bool stop_;
};

}  // namespace retort::infer
