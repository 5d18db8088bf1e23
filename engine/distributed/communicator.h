// What the processes of a run do together: sums in the order of a tree, words to all, and agreement.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/distributed/transport.h"
#include "engine/tensor.h"

namespace retort {

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
  explicit Communicator(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

  int rank() const { return transport_->rank(); }
  int size() const { return transport_->size(); }
  Transport& transport() { return *transport_; }

  // values (f32 or f64, in host memory) becomes the sum over the ranks that give something, added as TreeSum
  // adds; on every rank. gives: one for each rank, the same on all; what is in `values` of one that gives
  // nothing is not read.
  //
  // Slice r of a bucket goes to rank r, which adds the slices in the tree's order, and then to all: the bytes
  // of a ring, and the same bits whatever the library, the network and its load.
  void sum(const Tensor& values, const std::vector<bool>& gives);

  // One text from each rank, in their order, on every rank.
  std::vector<std::string> gather(const std::string& text);

  // Whether all ranks come this far: each says what is wrong with it, or nothing. On all ranks throws an
  // Error of the lowest rank that has something to say, naming rank and host if it is another one. problem:
  // may be null.
  void agree(const Error* problem);

  // Bytes sent by sum() and the seconds it took.
  double bytes() const { return bytes_; }
  double seconds() const { return seconds_; }

 private:
  template <class T>
  void sum_bucket(T* values, int64_t count, const std::vector<bool>& gives);

  std::unique_ptr<Transport> transport_;
  std::vector<std::byte> scratch_;
  double bytes_ = 0, seconds_ = 0;
};

// "rank 3 of 8, HOST"
std::string place_of(int rank, int size, const std::string& host);
std::string this_host();

}  // namespace retort
