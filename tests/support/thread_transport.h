// Ranks that are threads of this process: for tests.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/text.h"
#include "engine/distributed/communicator.h"
#include "engine/distributed/transport.h"
#include "engine/types.h"

namespace retort::testing {

class ThreadTransport : public Transport {
 public:
  // What all of them share.
  struct Post {
    explicit Post(int ranks) : size(ranks) {}
    const int size;
    std::mutex mutex;
    std::condition_variable arrived;
    std::map<std::pair<int, int>, std::deque<std::vector<char>>> boxes;  // from, to
  };

  ThreadTransport(std::shared_ptr<Post> post, int rank) : post_(std::move(post)), rank_(rank) {
    set_time_limit(60);
  }
  int rank() const override { return rank_; }
  int size() const override { return post_->size; }
  std::string description() const override { return "threads"; }
  void abort(int) noexcept override {}  // nobody ends the others

  void exchange(const std::vector<Message>& sends, const std::vector<Message>& receives) override {
    std::unique_lock lock(post_->mutex);
    for (const Message& m : sends) {
      const char* bytes = static_cast<const char*>(m.data);
      post_->boxes[{rank_, m.rank}].emplace_back(bytes, bytes + m.bytes);
    }
    post_->arrived.notify_all();
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(time_limit());
    for (const Message& m : receives) {
      auto& box = post_->boxes[{m.rank, rank_}];
      if (!post_->arrived.wait_until(lock, end, [&] { return !box.empty(); }))
        fail(Fault::lost, "rank ", m.rank, " of ", size(), " has not answered for ", time_limit(), " s");
      check(box.front().size() == m.bytes, "a message of ", box.front().size(), " bytes, expected ", m.bytes);
      std::memcpy(m.data, box.front().data(), m.bytes);
      box.pop_front();
    }
  }

  // From the last rank to the first.
  bool all_sum(const Tensor& values) override {
    const size_t bytes = values.bytes();
    const auto ranks = size_t(size());
    std::vector<std::vector<char>> all(ranks, std::vector<char>(bytes));
    std::vector<Message> sends, receives;
    for (int r = 0; r < size(); ++r) {
      if (r == rank_) continue;
      sends.push_back({r, values.data, bytes});
      receives.push_back({r, all[size_t(r)].data(), bytes});
    }
    std::memcpy(all[size_t(rank_)].data(), values.data, bytes);
    exchange(sends, receives);
    with_real_type(values.type, "a sum over threads", [&]<class T>() {
      for (int64_t i = 0; i < values.size(); ++i) {
        T sum = 0;
        for (size_t r = all.size(); r > 0; --r) sum += reinterpret_cast<const T*>(all[r - 1].data())[i];
        values.as<T>()[i] = sum;
      }
    });
    return true;
  }

 private:
  std::shared_ptr<Post> post_;
  const int rank_;
};

// Runs work(communicator) once for each rank, in threads, and waits for all of them.
inline void on_ranks(int ranks, const std::function<void(Communicator&)>& work) {
  const auto post = std::make_shared<ThreadTransport::Post>(ranks);
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      Communicator world(std::make_unique<ThreadTransport>(post, rank));
      work(world);
    });
}

}  // namespace retort::testing
