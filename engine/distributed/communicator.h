// What the processes of a run do together: sums in the order of a tree, words to all, and agreement.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/distributed/transport.h"
#include "engine/distributed/tree.h"
#include "engine/tensor.h"

namespace retort {

// In which order the numbers of several processes are added: in that of the tree, or in the one that the
// library finds fastest. The latter's sums are the same on all ranks, but they repeat only with as many of
// them, on the same machines, with the same library.
enum class Reduce { ordered, fast };

// What agree() throws on every rank.
class Agreed : public Error {
 public:
  Agreed(Fault fault, const std::string& message, bool own) : Error(fault, message), own_(own) {}
  // This rank is the one that says it.
  bool own() const { return own_; }

 private:
  bool own_;
};

// All ranks call the same functions in the same order.
class Communicator {
 public:
  explicit Communicator(std::unique_ptr<Transport> transport);

  int rank() const { return transport_->rank(); }
  int size() const { return transport_->size(); }
  Transport& transport() { return *transport_; }

  Reduce reduce() const { return reduce_; }  // of sum()
  void set_reduce(Reduce reduce) { reduce_ = reduce; }
  // What is summed at once; the same on all ranks.
  int64_t bucket_bytes() const { return bucket_bytes_; }
  void set_bucket_bytes(int64_t bytes) { bucket_bytes_ = bytes; }

  // values (f32 or f64, in host memory) becomes the sum over the ranks that give something, added as TreeSum
  // adds; on every rank. gives: one for each rank, the same on all; what is in `values` of one that gives
  // nothing is not read.
  //
  // Slice r of a bucket goes to rank r, which adds the slices in the tree's order, and then to all: the bytes
  // of a ring, and the same bits whatever the library, the network and its load. Reduce::fast: as
  // the transport adds, where it can.
  void sum(const Tensor& values, const std::vector<bool>& gives);

  // That so many neighbouring ranks are on one machine, a power of two: sum() then adds in two levels, those
  // of a machine, and equal places of all machines. It is the same tree, and less goes from machine to
  // machine.
  void set_machine(int ranks);
  // Whom this rank adds with, level by level.
  struct Level {
    std::vector<int> ranks;
    int own = 0;  // its place in them
  };
  const std::vector<Level>& levels() const { return levels_; }
  // Of a level's ranks whether they give something, or, in the second, whether their machine does.
  std::vector<bool> gives_at(size_t level, const std::vector<bool>& gives) const;

  // What goes between the ranks of a level in sum(), of so many values: slice r of them goes to rank r, which
  // adds the slices, and its sum to all.
  struct Slices {
    struct Range {
      int rank;
      int64_t first, count;
    };
    Part own;                      // this rank's slice
    std::vector<Range> sends;      // of the values
    std::vector<Range> receives;   // of what is received: as long as the own slice, each in its rank's place
    std::vector<Range> sums, got;  // of the values: what is sent and received in the end
  };
  Slices slices_at(size_t level, int64_t count, const std::vector<bool>& gives) const;

  // One text from each rank, in their order, on every rank. Where another rank is in agree() instead, with a
  // problem, it throws that.
  std::vector<std::string> gather(const std::string& text);

  // Whether all ranks come this far: each says what is wrong with it, or nothing. On all ranks throws an
  // Error of the lowest rank that has something to say, naming rank and host if it is another one. problem:
  // may be null.
  void agree(const Error* problem);

  // Bytes sent by sum() (with Reduce::fast: those of a ring) and the seconds it took.
  double bytes() const { return bytes_; }
  double seconds() const { return seconds_; }

 private:
  template <class T>
  void sum_bucket(size_t level, T* values, int64_t count, const std::vector<bool>& gives);
  bool sum_fast(const Tensor& values, bool gives);
  std::vector<std::string> exchange_texts(const std::string& own);
  void throw_problem(const std::vector<std::string>& texts, const Error* own) const;

  std::unique_ptr<Transport> transport_;
  std::vector<Level> levels_;
  int machine_ = 1;
  Reduce reduce_ = Reduce::ordered;
  int64_t bucket_bytes_ = 8 << 20;
  std::vector<std::byte> scratch_;
  double bytes_ = 0, seconds_ = 0;
};

// Makes what `work` makes on every process, or fails on all of them by the first one's error. world: may be
// null.
template <class Work>
auto on_all(Communicator* world, const Work& work) {
  if (!world) return work();
  try {
    auto made = work();
    world->agree(nullptr);
    return made;
  } catch (const Agreed&) {
    throw;
  } catch (const Error& error) {
    world->agree(&error);
    throw;
  }
}

// Asks all ranks, and gives the least of their numbers; empty for one process (null).
std::function<int(int own)> least_of(Communicator* world);

// How many neighbouring ones of these hosts' ranks are on one machine, if as many are on each, and a power of
// two; else 1.
int ranks_of_machine(const std::vector<std::string>& hosts);

// "rank 3 of 8, HOST"
std::string place_of(int rank, int size, const std::string& host);
std::string this_host();

}  // namespace retort
