// Threads of a block as fibers: each has a stack, and runs until it waits or ends.
#include "tests/cuda_emulation/device.h"

#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
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

enum class State { ready, at_block_barrier, at_warp_barrier, ended };

struct Fiber {
  Thread thread;
  void* stack_pointer = nullptr;
  State state = State::ended;
  std::unique_ptr<char[]> stack;
};

struct Block {
  std::vector<Fiber> fibers;
  void* scheduler = nullptr;
  Fiber* running = nullptr;
  uint64_t exchanged[most_threads / warp_size][warp_size];
  const std::function<void()>* kernel = nullptr;
  std::unique_ptr<char[]> shared;
  Coordinates index, extents, grid;
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
  if (!fiber.stack) fiber.stack = std::make_unique<char[]>(stack_bytes);
  const uintptr_t end = reinterpret_cast<uintptr_t>(fiber.stack.get() + stack_bytes) / 64 * 64;
  void** top = reinterpret_cast<void**>(end);
  *--top = nullptr;  // as behind a call, so that the stack is aligned as functions expect
  *--top = reinterpret_cast<void*>(fiber_main);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
  fiber.state = State::ready;
}

enum class Order { forward, backward, mixed };
Order chosen_order() {
  const char* given = std::getenv("RETORT_EMULATED_ORDER");
  const std::string name = given ? given : "forward";
  if (name == "forward") return Order::forward;
  if (name == "backward") return Order::backward;
  if (name == "mixed") return Order::mixed;
  die("RETORT_EMULATED_ORDER is none of forward, backward, mixed");
}

int place_of(int k, int threads, Order order, unsigned round) {
  if (order == Order::forward) return k;
  if (order == Order::backward) return threads - 1 - k;
  return int((unsigned(k) * 7 + round * 13) %
             unsigned(threads));  // a permutation: threads are no multiple of 7
}

int count(int first, int end, State state) {
  return int(std::count_if(block.fibers.begin() + first, block.fibers.begin() + end,
                           [=](const Fiber& f) { return f.state == state; }));
}

void release(int first, int end) {
  for (int i = first; i < end; ++i) block.fibers[size_t(i)].state = State::ready;
}

void run_block(int threads) {
  static const Order order = chosen_order();
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
    if (!moved) die("threads wait for each other");
  }
}

void run(const Configuration& c, const std::function<void()>& kernel) {
  const auto threads = size_t(c.block.x) * c.block.y * c.block.z;
  if (block.fibers.size() < threads) block.fibers.resize(threads);
  if (!block.shared) block.shared = std::make_unique<char[]>(most_shared + 64);
  block.kernel = &kernel;
  block.extents = {c.block.x, c.block.y, c.block.z};
  block.grid = {c.grid.x, c.grid.y, c.grid.z};
  for (unsigned z = 0; z < c.grid.z; ++z) {
    for (unsigned y = 0; y < c.grid.y; ++y) {
      for (unsigned x = 0; x < c.grid.x; ++x) {
        block.index = {x, y, z};
        std::memset(dynamic_shared(), 0xff, c.shared);
        run_block(int(threads));
      }
    }
  }
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

void enqueue(const Configuration& c, std::string name, std::function<void()> kernel) {
  const size_t threads = size_t(c.block.x) * c.block.y * c.block.z;
  const bool fits = threads >= 1 && threads <= most_threads && c.block.z <= 64 && c.grid.x >= 1 &&
                    c.grid.x <= 0x7fffffff && c.grid.y >= 1 && c.grid.y <= 65535 && c.grid.z >= 1 &&
                    c.grid.z <= 65535 && c.shared <= most_shared;
  if (!fits) return set_last_error(cudaErrorInvalidConfiguration);
  enqueue_work(c.stream, std::move(name), [c, kernel = std::move(kernel)] { run(c, kernel); });
}

}  // namespace retort::emulation
