// Ranks that are threads of this process: for tests.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/text.h"
#include "engine/distributed/transport.h"

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

  ThreadTransport(std::shared_ptr<Post> post, int rank) : post_(std::move(post)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return post_->size; }
  std::string description() const override { return "threads"; }
  void set_time_limit(double seconds) override { limit_ = seconds; }
  void abort(int) noexcept override {}  // nobody ends the others

  void exchange(const std::vector<Message>& sends, const std::vector<Message>& receives) override {
    std::unique_lock lock(post_->mutex);
    for (const Message& m : sends) {
      const char* bytes = static_cast<const char*>(m.data);
      post_->boxes[{rank_, m.rank}].emplace_back(bytes, bytes + m.bytes);
    }
    post_->arrived.notify_all();
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_);
    for (const Message& m : receives) {
      auto& box = post_->boxes[{m.rank, rank_}];
      if (!post_->arrived.wait_until(lock, end, [&] { return !box.empty(); }))
        fail(Fault::lost, "rank ", m.rank, " of ", size(), " has not answered for ", limit_, " s");
      check(box.front().size() == m.bytes, "a message of ", box.front().size(), " bytes, expected ", m.bytes);
      std::memcpy(m.data, box.front().data(), m.bytes);
      box.pop_front();
    }
  }

 private:
  std::shared_ptr<Post> post_;
  const int rank_;
  double limit_ = 60;
};

}  // namespace retort::testing
