// NCCL, opened at run time: what moves and sums numbers between the GPUs of several processes.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace retort {

class Nccl {
 public:
  // Throws Error(Fault::device) if the library is missing, of another major version than the one this program
  // was built with, or too old.
  static void open();
  // What one rank makes for all: they start with the same one.
  static std::string new_id();

  // Waits for all others to do the same; the present device is this rank's. Throws Error(Fault::device).
  Nccl(const std::string& id, int rank, int size);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  std::string description() const;  // "NCCL 2.28.3"

  // Whether it has lost another rank, or was ended.
  bool lost() const;
  // Gives up: what is enqueued comes to an end, with whatever numbers. For an error; nothing may follow.
  void end() noexcept;

  // Numbers to or from another rank.
  struct Block {
    int rank;
    float* data;
    int64_t count;
  };
  // Enqueues all of them as one; from one rank to another in order, with the same sizes on both sides.
  void exchange(const std::vector<Block>& sends, const std::vector<Block>& receives, CUstream_st* stream);
  // values becomes the sum over all ranks, in an order that NCCL chooses; the same bits on all.
  void all_reduce(float* values, int64_t count, CUstream_st* stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort
