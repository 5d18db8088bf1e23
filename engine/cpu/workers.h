// What cutting CPU work into tasks needs: threads that run them, and scratch memory. Two own such: Portable,
// whose memory grows at need, and the embeddable library (engine/infer), whose memory is fixed when it loads.
// Functions instead of virtual ones, as the library does without the C++ run time.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "engine/isa.h"

namespace retort {

class Workers {
 public:
  using Call = void (*)(const void* task, int64_t index, int thread);
  struct Functions {
    // Calls call(task, i, thread) for every i in [0, tasks), thread in [0, threads), and waits.
    void (*run)(void* owner, int64_t tasks, Call call, const void* task);
    // At least bytes, aligned to 64; overwritten by the next kernel. Of one thread, and shared by all.
    void* (*thread_scratch)(void* owner, int thread, size_t bytes);
    void* (*shared_scratch)(void* owner, size_t bytes);
  };

  Workers(void* owner, const Functions& functions, Isa isa)
      : owner_(owner), functions_(functions), isa_(isa) {}

  Isa isa() const { return isa_; }

  // task(i, thread) for every i in [0, tasks); task must not throw and must not call run().
  template <class F>
  void run(int64_t tasks, const F& task) const {
    functions_.run(
        owner_, tasks, [](const void* f, int64_t i, int thread) { (*static_cast<const F*>(f))(i, thread); },
        &task);
  }
  // f(first, last) over parts of [0, count), cut into parts of a size that depends on count only.
  template <class F>
  void for_ranges(int64_t count, int64_t part, const F& f) const {
    run((count + part - 1) / part, [&](int64_t task, int) {
      const int64_t first = task * part;
      f(first, first + part < count ? first + part : count);
    });
  }

  template <class T>
  T* thread_scratch(int thread, int64_t elements) const {
    return static_cast<T*>(functions_.thread_scratch(owner_, thread, size_t(elements) * sizeof(T)));
  }
  template <class T>
  T* shared_scratch(int64_t elements) const {
    return static_cast<T*>(functions_.shared_scratch(owner_, size_t(elements) * sizeof(T)));
  }

 private:
  void* owner_;
  Functions functions_;
  Isa isa_;
};

}  // namespace retort
