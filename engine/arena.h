// Arena: memory whose addresses depend only on the sequence of requests.
//
// A block is taken by size and returned when its last Hold dies. Placement is first fit by address over a
// free list, so the same sequence of takes and returns gives the same addresses: what makes a whole step
// capturable as one CUDA graph. A step arena is rewound when a step begins; a persistent one never is.
//
// Not for use from several threads: an arena belongs to the thread that enqueues the device's work.
// Use after return: blocks returned are poisoned for AddressSanitizer where it is on, and filled with NaN
// in debug builds where the host can write them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace retort {

// Where an arena gets its chunks: a backend's memory.
class Memory {
 public:
  virtual ~Memory() = default;
  // Throws Error(Fault::memory) with the size if there is not enough. Aligned to Arena::alignment.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* data, size_t bytes) = 0;
  virtual bool host_addressable() const = 0;
};

class Hold;

class Arena {
 public:
  static constexpr size_t alignment = 256;

  // guard: every block gets a margin on both sides whose bytes are looked at when it returns; for tests. Only
  // where the host can read the memory.
  explicit Arena(Memory& memory, bool guard = false)
      : memory_(memory), guard_(guard && memory.host_addressable()) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // At least one byte is taken, rounded up to the alignment. Grows by a chunk if nothing fits.
  Hold take(size_t bytes);

  // Starts a step: every block must have been returned. If the last step had to grow, the chunks are
  // replaced by one that holds them all, so that a steady state is one chunk.
  void rewind();

  // Blocks whose margins were written to.
  int violations() const { return violations_; }

  size_t in_use() const { return in_use_; }
  size_t peak() const { return peak_; }
  size_t capacity() const;
  // True if the last rewind found nothing to consolidate and nothing has grown since: addresses repeat.
  bool steady() const { return steady_; }
  // Counts the times that rewind() moved the arena: addresses of an older generation are gone.
  int generation() const { return generation_; }
  // A hash of the addresses handed out since the last rewind.
  uint64_t trace() const { return trace_; }

 private:
  friend class Hold;
  struct Chunk {
    char* data;
    size_t bytes;
  };
  struct Range {
    char* data;
    size_t bytes;
  };
  struct Record {  // one block in use
    char* data;
    size_t bytes;   // as taken from the chunk
    size_t wanted;  // as asked for; the rest is margin
    int holds;
  };
  void grow(size_t bytes);
  void give_back(uint32_t record);

  size_t margin() const { return guard_ ? alignment : 0; }
  void write_margins(const Record& record) const;
  bool margins_intact(const Record& record) const;

  Memory& memory_;
  const bool guard_;
  int violations_ = 0;
  std::vector<Chunk> chunks_;
  std::vector<Range> free_;  // by address, adjacent ranges of one chunk merged
  std::vector<Record> records_;
  std::vector<uint32_t> spare_records_;
  size_t in_use_ = 0, peak_ = 0;
  uint64_t trace_ = 0;
  bool steady_ = false;
  int generation_ = 0;
};

// A counted reference to a block of an arena; the block returns when the last one dies.
class Hold {
 public:
  Hold() = default;
  Hold(const Hold& other) : arena_(other.arena_), record_(other.record_) {
    if (arena_) ++arena_->records_[record_].holds;
  }
  Hold(Hold&& other) noexcept : arena_(other.arena_), record_(other.record_) { other.arena_ = nullptr; }
  Hold& operator=(Hold other) noexcept {
    std::swap(arena_, other.arena_);
    std::swap(record_, other.record_);
    return *this;
  }
  ~Hold() {
    if (arena_ && --arena_->records_[record_].holds == 0) arena_->give_back(record_);
  }
  void* data() const { return arena_ ? arena_->records_[record_].data + arena_->margin() : nullptr; }

 private:
  friend class Arena;
  Hold(Arena& arena, uint32_t record) : arena_(&arena), record_(record) {}
  Arena* arena_ = nullptr;
  uint32_t record_ = 0;
};

}  // namespace retort
