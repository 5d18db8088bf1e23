#include "engine/cpu/portable.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace retort {

namespace {

constexpr size_t huge_page = size_t(2) << 20;

}  // namespace

Portable::Portable(int threads, ConvTuning* tuning)
    : pool_(threads),
      isa_(best_isa()),
      thread_scratch_(size_t(pool_.threads())),
      workers_(this,
               {[](void* self, int64_t tasks, Workers::Call call, const void* task) {
                  static_cast<Portable*>(self)->pool_.run(
                      tasks, [&](int64_t i, int thread) { call(task, i, thread); });
                },
                [](void* self, int thread, size_t bytes) {
                  return static_cast<Portable*>(self)->thread_scratch(thread, bytes);
                },
                [](void* self, size_t bytes) { return static_cast<Portable*>(self)->shared_scratch(bytes); }},
               isa_),
      tuning_(tuning) {}

std::string Portable::description() const {
  return text("portable, ", name_of(isa_), ", ", pool_.threads(),
              pool_.threads() == 1 ? " thread" : " threads");
}

void* Portable::allocate(size_t bytes) {
  // Large chunks in huge pages: a step walks through all of them.
  const size_t alignment = bytes >= 2 * huge_page ? huge_page : Arena::alignment;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* data = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
  check(data != nullptr, Fault::memory, "out of memory: ", bytes,
        " bytes could not be had; a smaller --batch needs less");
  if (alignment == huge_page) madvise(data, rounded, MADV_HUGEPAGE);
  return data;
}

void Portable::release(void* data, size_t) {
  std::free(data);
}

void Portable::upload(const Tensor& to, const void* host) {
  std::memcpy(to.data, host, to.bytes());
}
void Portable::download(void* host, const Tensor& from) {
  std::memcpy(host, from.data, from.bytes());
}
void Portable::run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) {
  pool_.run(tasks, [&](int64_t i, int) { task(i); });
}
void Portable::set_scalar(const Tensor& scalar, double value) {
  *scalar.as<double>() = value;
}

void Portable::begin_capture() {
  fail(Fault::internal, name(), ": cannot capture a step");
}
int Portable::end_capture() {
  fail(Fault::internal, name(), ": cannot capture a step");
}
void Portable::replay(int) {
  fail(Fault::internal, name(), ": has no captured step to replay");
}

void* Portable::Scratch::reserve(size_t bytes) {
  constexpr size_t alignment = 64;
  if (memory.size() < bytes + alignment) memory = std::vector<char>(bytes + bytes / 4 + alignment);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return reinterpret_cast<void*>((address + alignment - 1) / alignment * alignment);
}

void* Portable::thread_scratch(int thread, size_t bytes) {
  return thread_scratch_[size_t(thread)].reserve(bytes);
}
void* Portable::shared_scratch(size_t bytes) {
  return shared_scratch_.reserve(bytes);
}

}  // namespace retort
