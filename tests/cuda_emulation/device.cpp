// Threads of a block as fibers: each has a stack, and runs until it waits or ends.
#include "tests/cuda_emulation/device.h"

#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/check.h"
#include "tests/cuda_emulation/stream.h"

// Keeps the registers that a call preserves on the stack, its pointer in *save, and goes on with the stack
// `to`.
extern "C" void retort_emulation_switch(void** save, void* to);
asm(R"(
.text
.globl retort_emulation_switch
retort_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.section .note.GNU-stack,"",@progbits
.text
)");

namespace retort::emulation {

namespace {

constexpr size_t stack_bytes = 128 << 10;
constexpr int warp_size = 32, most_threads = 1024;
constexpr size_t most_shared = 227 << 10;

enum class State { ready, at_block_barrier, at_warp_barrier, at_grid_barrier, at_previous, ended };

struct Fiber {
  Thread thread;
  void* stack_pointer = nullptr;
  State state = State::ended;
  char* stack = nullptr;
};

// One of the blocks that run up to a point and then wait.
struct Member {
  std::binary_semaphore turn{0};
  bool waits = false;  // for what it was started to wait for; otherwise it has ended
  std::thread thread;
};

struct Block {
  std::vector<Fiber> fibers;
  std::unique_ptr<char[]> stacks;
  void* scheduler = nullptr;
  Fiber* running = nullptr;
  uint64_t exchanged[most_threads / warp_size][warp_size];
  const std::function<void()>* kernel = nullptr;
  std::unique_ptr<char[]> shared;
  Coordinates index, extents, grid;
  std::function<void()> wait_for_grid;  // empty where blocks run one after another
  std::function<void()> wait_for_previous;  // empty where the kernel ahead has ended, or once it has
};
thread_local Block block;

[[noreturn]] void die(const char* why) {
  std::fprintf(stderr, "emulated device: %s\n", why);
  std::abort();
}

void wait(State state) {
  Fiber& own = *block.running;
  own.state = state;
  retort_emulation_switch(&own.stack_pointer, block.scheduler);
}

void fiber_main() {
  (*block.kernel)();
  wait(State::ended);
  die("a thread goes on after its end");
}

void start(Fiber& fiber) {
  const uintptr_t end = reinterpret_cast<uintptr_t>(fiber.stack + stack_bytes) / 64 * 64;
  void** top = reinterpret_cast<void**>(end);
  *--top = nullptr;  // as behind a call, so that the stack is aligned as functions expect
  *--top = reinterpret_cast<void*>(fiber_main);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
  fiber.state = State::ready;
}

enum class Order { forward, backward, mixed };
Order read_order() {
  const char* given = std::getenv("RETORT_EMULATED_ORDER");
  const std::string name = given ? given : "forward";
  if (name == "forward") return Order::forward;
  if (name == "backward") return Order::backward;
  if (name == "mixed") return Order::mixed;
  die("RETORT_EMULATED_ORDER is none of forward, backward, mixed");
}

Order chosen_order() {
  static const Order order = read_order();
  return order;
}

int place_of(int k, int threads, Order order, unsigned round) {
  if (order == Order::forward) return k;
  if (order == Order::backward) return threads - 1 - k;
  const unsigned step = threads % 7 == 0 ? 1 : 7;  // so that it is a permutation
  return int((unsigned(k) * step + round * 13) % unsigned(threads));
}

int count(int first, int end, State state) {
  return int(std::count_if(block.fibers.begin() + first, block.fibers.begin() + end,
                           [=](const Fiber& f) { return f.state == state; }));
}

void release(int first, int end) {
  for (int i = first; i < end; ++i) block.fibers[size_t(i)].state = State::ready;
}

void run_block(int threads) {
  const Order order = chosen_order();
  for (int i = 0; i < threads; ++i) {
    Fiber& fiber = block.fibers[size_t(i)];
    const unsigned n = unsigned(i);
    fiber.thread = {
        {n % block.extents.x, n / block.extents.x % block.extents.y, n / block.extents.x / block.extents.y},
        i % warp_size,
        i / warp_size};
    start(fiber);
  }
  for (unsigned round = 0; count(0, threads, State::ended) < threads; ++round) {
    bool moved = false;
    for (int k = 0; k < threads; ++k) {
      Fiber& fiber = block.fibers[size_t(place_of(k, threads, order, round))];
      if (fiber.state != State::ready) continue;
      block.running = &fiber;
      retort_emulation_switch(&block.scheduler, fiber.stack_pointer);
      moved = true;
    }
    for (int first = 0; first < threads; first += warp_size) {
      const int end = std::min(first + warp_size, threads),
                waiting = count(first, end, State::at_warp_barrier);
      if (waiting == 0) continue;
      if (count(first, end, State::ended) > 0) die("a warp waits for lanes that have ended");
      if (waiting < end - first) continue;
      release(first, end);
      moved = true;
    }
    const int waiting = count(0, threads, State::at_block_barrier);
    if (waiting == threads) {
      release(0, threads);
      moved = true;
    } else if (waiting > 0 && count(0, threads, State::ended) > 0) {
      die("a block waits for threads that have ended");
    }
    const int for_grid = count(0, threads, State::at_grid_barrier);
    if (for_grid == threads) {
      if (!block.wait_for_grid) die("a barrier of the grid in a kernel that was not launched as cooperative");
      block.wait_for_grid();
      release(0, threads);
      moved = true;
    } else if (for_grid > 0 && count(0, threads, State::ended) > 0) {
      die("a barrier of the grid waits for threads that have ended");
    }
    if (!moved && count(0, threads, State::at_previous) > 0) {
      block.wait_for_previous();
      block.wait_for_previous = {};
      for (Fiber& fiber : block.fibers)
        if (fiber.state == State::at_previous) fiber.state = State::ready;
      moved = true;
    }
    if (!moved) die("threads wait for each other");
  }
}

size_t threads_of(const Configuration& c) {
  return size_t(c.block.x) * c.block.y * c.block.z;
}
size_t blocks_of(const Configuration& c) {
  return size_t(c.grid.x) * c.grid.y * c.grid.z;
}

// Of the grid's blocks the i-th, in this thread of the host.
void run_block(const Configuration& c, const std::function<void()>& kernel, size_t i) {
  const size_t threads = threads_of(c);
  if (block.fibers.size() < threads) {
    block.fibers.resize(threads);
    block.stacks = std::make_unique_for_overwrite<char[]>(threads * stack_bytes);
    for (size_t k = 0; k < threads; ++k) block.fibers[k].stack = block.stacks.get() + k * stack_bytes;
  }
  if (!block.shared) block.shared = std::make_unique_for_overwrite<char[]>(most_shared + 64);
  block.kernel = &kernel;
  block.extents = {c.block.x, c.block.y, c.block.z};
  block.grid = {c.grid.x, c.grid.y, c.grid.z};
  block.index = {unsigned(i % c.grid.x), unsigned(i / c.grid.x % c.grid.y),
                 unsigned(i / c.grid.x / c.grid.y)};
  std::memset(dynamic_shared(), 0xff, c.shared);
  run_block(int(threads));
}

// Runs cooperative grids: every block in a thread of the host, since shared memory is such a thread's. They
// take turns; each goes on until it waits for the grid or ends.
class Crew {
 public:
  ~Crew() {
    kernel_ = nullptr;
    for (Member& member : members_) {
      member.turn.release();
      member.thread.join();
    }
  }

  void run(const Configuration& c, const std::function<void()>& kernel) {
    configuration_ = c;
    kernel_ = &kernel;
    const size_t blocks = blocks_of(c);
    while (members_.size() < blocks) {
      const size_t i = members_.size();
      Member& member = members_.emplace_back();
      member.thread = std::thread([this, i, &member] { work(i, member); });
    }
    for (unsigned round = 0;; ++round) {
      size_t waiting = 0;
      for (size_t k = 0; k < blocks; ++k) {
        Member& member = members_[size_t(place_of(int(k), int(blocks), chosen_order(), round))];
        member.turn.release();
        turn_ended_.acquire();
        waiting += member.waits;
      }
      if (waiting == 0) return;
      if (waiting < blocks) die("a barrier of the grid waits for blocks that have ended");
    }
  }

 private:
  void work(size_t i, Member& own) {
    own.turn.acquire();
    block.wait_for_grid = [&] {
      own.waits = true;
      turn_ended_.release();
      own.turn.acquire();
    };
    for (; kernel_; own.turn.acquire()) {
      run_block(configuration_, *kernel_, i);
      own.waits = false;
      turn_ended_.release();
    }
  }

  std::deque<Member> members_;
  std::binary_semaphore turn_ended_{0};
  Configuration configuration_;
  const std::function<void()>* kernel_ = nullptr;
};

// A kernel that begins before the one ahead of it has ended: its first and its last block, each in a thread
// of the host, as far as they go without waiting for that one. Then all of it.
class EarlyKernel {
 public:
  EarlyKernel(const Configuration& c, const std::function<void()>& kernel)
      : configuration_(c), kernel_(kernel) {
    for (const size_t i : {size_t(0), blocks_of(c) - 1}) {
      if (i < early_.size()) continue;  // it is the only one
      Member& member = early_.emplace_back();
      member.thread = std::thread([this, i, &member] { work(i, member); });
      stopped_.acquire();
      if (!member.waits) die("a kernel that may begin early does not wait for the one ahead of it");
    }
  }
  void finish() {
    for (size_t i = 1; i + 1 < blocks_of(configuration_); ++i) run_block(configuration_, kernel_, i);
    for (Member& member : early_) {
      member.turn.release();
      member.thread.join();
    }
  }

 private:
  void work(size_t i, Member& own) {
    block.wait_for_previous = [&] {
      own.waits = true;
      stopped_.release();
      own.turn.acquire();
    };
    run_block(configuration_, kernel_, i);
    if (!own.waits) stopped_.release();
  }

  const Configuration configuration_;
  const std::function<void()> kernel_;
  std::deque<Member> early_;
  std::binary_semaphore stopped_{0};
};

void run(const Configuration& c, const std::function<void()>& kernel) {
  static thread_local Crew crew;
  if (c.cooperative) return crew.run(c, kernel);
  for (size_t i = 0; i < blocks_of(c); ++i) run_block(c, kernel, i);
}

}  // namespace

const Thread& thread() {
  return block.running->thread;
}
const Coordinates& block_index() {
  return block.index;
}
const Coordinates& block_extents() {
  return block.extents;
}
const Coordinates& grid_extents() {
  return block.grid;
}
char* dynamic_shared() {
  return reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(block.shared.get()) + 63) / 64 * 64);
}

void wait_for_block() {
  wait(State::at_block_barrier);
}
void wait_for_warp() {
  wait(State::at_warp_barrier);
}
void wait_for_grid() {
  wait(State::at_grid_barrier);
}
void wait_for_previous() {
  if (block.wait_for_previous) wait(State::at_previous);
}
uint64_t exchange(uint64_t value, int other_lane) {
  const Thread& own = thread();
  uint64_t* const of_warp = block.exchanged[own.warp];
  of_warp[own.lane] = value;
  wait_for_warp();
  const uint64_t other = of_warp[other_lane];
  wait_for_warp();
  return other;
}

std::string name_of(const char* kernel, const std::type_info& arguments) {
  int status = 0;
  char* readable = abi::__cxa_demangle(arguments.name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? text(kernel, ' ', readable) : kernel;
  std::free(readable);
  return name;
}

cudaError_t enqueue(const Configuration& c, std::string name, std::function<void()> kernel) {
  const size_t threads = threads_of(c);
  const bool fits = threads >= 1 && threads <= most_threads && c.block.z <= 64 && c.grid.x >= 1 &&
                    c.grid.x <= 0x7fffffff && c.grid.y >= 1 && c.grid.y <= 65535 && c.grid.z >= 1 &&
                    c.grid.z <= 65535 && c.shared <= most_shared;
  if (!fits) return set_last_error(cudaErrorInvalidConfiguration);
  if (c.cooperative && blocks_of(c) > size_t(multiprocessors()) * size_t(resident_blocks(threads)))
    return set_last_error(cudaErrorCooperativeLaunchTooLarge);
  Begin begin;
  if (c.programmatic)
    begin = [c, kernel] {
      const auto early = std::make_shared<EarlyKernel>(c, kernel);
      return [early] { early->finish(); };
    };
  enqueue_work(
      c.stream, std::move(name), [c, kernel = std::move(kernel)] { run(c, kernel); }, c.cooperative,
      std::move(begin));
  return cudaSuccess;
}

}  // namespace retort::emulation
