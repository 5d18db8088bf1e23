#include "engine/infer/threads.h"

#include <sched.h>

namespace retort::infer {

namespace {

// Between two layers a thread waits this long before it sleeps: waking it takes longer than most layers.
constexpr int spins = 4000;

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

// How often this process is a child by fork(): the threads of its parents are not here.
int forks = 0;
pthread_once_t asked = PTHREAD_ONCE_INIT;
void count_fork() {
  ++forks;
}
void ask_for_forks() {
  pthread_atfork(nullptr, nullptr, count_fork);
}

}  // namespace

bool Threads::start(int count, char* scratch, size_t scratch_bytes) {
  scratch_ = scratch;
  scratch_bytes_ = scratch_bytes;
  count_ = 1;
  if (count == 1) return true;
  pthread_once(&asked, ask_for_forks);
  forks_ = forks;
  pthread_mutex_init(&mutex_, nullptr);
  pthread_cond_init(&wake_, nullptr);
  for (int t = 1; t < count; ++t) {
    starts_[t] = {this, t};
    if (pthread_create(&handles_[t], nullptr, worker, &starts_[t]) != 0) {
      stop();
      return false;
    }
    ++count_;
  }
  return true;
}

void Threads::stop() {
  if (count_ <= 1 || forks_ != forks) return;  // no thread, nothing that sleeps
  pthread_mutex_lock(&mutex_);
  stop_ = true;
  __atomic_fetch_add(&round_, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&wake_);
  pthread_mutex_unlock(&mutex_);
  for (int t = 1; t < count_; ++t) pthread_join(handles_[t], nullptr);
  pthread_cond_destroy(&wake_);
  pthread_mutex_destroy(&mutex_);
  count_ = 1;
}

void* Threads::thread_scratch(void* self, int thread, size_t) {
  const Threads& threads = *static_cast<Threads*>(self);
  return threads.scratch_ + size_t(thread) * threads.scratch_bytes_;
}

void Threads::run(void* self, int64_t tasks, Workers::Call call, const void* task) {
  Threads& threads = *static_cast<Threads*>(self);
  if (threads.count_ <= 1 || tasks <= 1 || threads.forks_ != forks) {
    for (int64_t i = 0; i < tasks; ++i) call(task, i, 0);
    return;
  }
  threads.call_ = call;
  threads.task_ = task;
  threads.tasks_ = int32_t(tasks);
  __atomic_store_n(&threads.next_, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&threads.busy_, threads.count_ - 1, __ATOMIC_RELAXED);
  pthread_mutex_lock(&threads.mutex_);
  __atomic_fetch_add(&threads.round_, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&threads.wake_);
  pthread_mutex_unlock(&threads.mutex_);
  threads.work(0);
  for (int i = 0; __atomic_load_n(&threads.busy_, __ATOMIC_ACQUIRE) != 0; ++i) {
    if (i < spins)
      pause_briefly();
    else
      sched_yield();
  }
}

void Threads::work(int number) {
  for (;;) {
    const int32_t i = __atomic_fetch_add(&next_, 1, __ATOMIC_RELAXED);
    if (i >= tasks_) return;
    call_(task_, i, number);
  }
}

void* Threads::worker(void* start) {
  const Start& own = *static_cast<Start*>(start);
  Threads& threads = *own.threads;
  uint32_t seen = 0;
  for (;;) {
    for (int i = 0; i < spins && __atomic_load_n(&threads.round_, __ATOMIC_ACQUIRE) == seen; ++i)
      pause_briefly();
    if (__atomic_load_n(&threads.round_, __ATOMIC_ACQUIRE) == seen) {
      pthread_mutex_lock(&threads.mutex_);
      while (__atomic_load_n(&threads.round_, __ATOMIC_ACQUIRE) == seen)
        pthread_cond_wait(&threads.wake_, &threads.mutex_);
      pthread_mutex_unlock(&threads.mutex_);
    }
    ++seen;
    if (threads.stop_) return nullptr;
    threads.work(own.number);
    __atomic_fetch_sub(&threads.busy_, 1, __ATOMIC_RELEASE);
  }
}

}  // namespace retort::infer
