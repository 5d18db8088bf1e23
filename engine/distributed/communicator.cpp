#include "engine/distributed/communicator.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

#include "engine/base/text.h"
#include "engine/distributed/tree.h"
#include "engine/types.h"

namespace retort {

namespace {

// How a text begins: one rank can have come to agree() with its problem while others gather words.
constexpr char word = '=', trouble = '!';

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string this_host() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown host";
}

std::string place_of(int rank, int size, const std::string& host) {
  return text("rank ", rank, " of ", size, ", ", host);
}

Communicator::Communicator(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {
  set_machine(1);
}

void Communicator::set_machine(int ranks) {
  check(ranks > 0 && std::has_single_bit(unsigned(ranks)) && size() % ranks == 0,
        "Communicator: machines of ", ranks, " ranks, of ", size());
  machine_ = ranks;
  levels_.clear();
  const auto add = [this](int first, int end, int step) {
    if (first + step >= end && !levels_.empty()) return;  // alone
    Level level;
    for (int r = first; r < end; r += step) level.ranks.push_back(r);
    level.own = (rank() - first) / step;
    levels_.push_back(std::move(level));
  };
  const int first = rank() / ranks * ranks;
  if (ranks > 1) add(first, first + ranks, 1);
  add(rank() % ranks, size(), ranks);
}

std::vector<bool> Communicator::gives_at(size_t level, const std::vector<bool>& gives) const {
  const int span = level == 0 ? 1 : machine_;
  std::vector<bool> some;
  for (const int rank : levels_[level].ranks) {
    const auto first = gives.begin() + rank / span * span;
    some.push_back(std::find(first, first + span, true) != first + span);
  }
  return some;
}

Communicator::Slices Communicator::slices_at(size_t level, int64_t count,
                                             const std::vector<bool>& gives) const {
  const auto& [group, me] = levels_[level];
  const int ranks = int(group.size());
  Slices plan;
  plan.own = part_of(count, ranks, me);
  for (int r = 0; r < ranks; ++r) {
    if (r == me) continue;
    const int rank = group[size_t(r)];
    const Part &own = plan.own, theirs = part_of(count, ranks, r);
    if (theirs.count > 0) {
      if (gives[size_t(me)]) plan.sends.push_back({rank, theirs.first, theirs.count});
      plan.got.push_back({rank, theirs.first, theirs.count});
    }
    if (own.count > 0) {
      if (gives[size_t(r)]) plan.receives.push_back({rank, r * own.count, own.count});
      plan.sums.push_back({rank, own.first, own.count});
    }
  }
  return plan;
}

template <class T>
void Communicator::sum_bucket(size_t level, T* values, int64_t count, const std::vector<bool>& all) {
  const int ranks = int(levels_[level].ranks.size()), me = levels_[level].own;
  const std::vector<bool> gives = gives_at(level, all);
  const Slices plan = slices_at(level, count, gives);
  const Part& own = plan.own;
  scratch_.resize(size_t(own.count * ranks) * sizeof(T));
  T* const slices = reinterpret_cast<T*>(scratch_.data());
  const auto exchange = [&](const std::vector<Slices::Range>& sent,
                            const std::vector<Slices::Range>& received, T* to) {
    const auto messages = [](const std::vector<Slices::Range>& ranges, T* base) {
      std::vector<Message> all_of_them;
      for (const auto& [rank, first, numbers] : ranges)
        all_of_them.push_back({rank, base + first, size_t(numbers) * sizeof(T)});
      return all_of_them;
    };
    transport_->exchange(messages(sent, values), messages(received, to));
    for (const Slices::Range& range : sent) bytes_ += double(range.count) * sizeof(T);
  };
  exchange(plan.sends, plan.receives, slices);

  const auto given = [&](int r) { return r == me ? values + own.first : slices + r * own.count; };
  std::vector<T*> places(size_t(TreeSum::places_for(ranks)));
  TreeSum tree([&](int to, int from) {
    T* const sum = places[size_t(to)];
    const T* const part = places[size_t(from)];
    for (int64_t i = 0; i < own.count; ++i) sum[i] += part[i];
  });
  for (int r = 0; r < ranks; ++r) {
    if (!gives[size_t(r)]) {
      tree.skip();
      continue;
    }
    places[size_t(tree.place())] = given(r);
    tree.push();
  }
  const bool some = tree.finish(), last = level + 1 == levels_.size();
  check(some || !last, "Communicator: no rank gives anything");
  if (some && places[0] != values + own.first)
    std::memcpy(values + own.first, places[0], size_t(own.count) * sizeof(T));
  if (!last) sum_bucket(level + 1, values + own.first, own.count, all);

  exchange(plan.sums, plan.got, values);
}

void Communicator::sum(const Tensor& values, const std::vector<bool>& gives) {
  check(int(gives.size()) == size(), "Communicator: ", gives.size(), " ranks of ", size());
  const double began = now();
  with_real_type(values.type, "sum over processes", [&]<class T>() {
    if (reduce_ == Reduce::fast && sum_fast(values, gives[size_t(rank())])) return;
    const int64_t bucket = bucket_bytes_ / int64_t(sizeof(T));
    for (int64_t first = 0; first < values.size(); first += bucket)
      sum_bucket(0, values.as<T>() + first, std::min(bucket, values.size() - first), gives);
  });
  seconds_ += now() - began;
}

bool Communicator::sum_fast(const Tensor& values, bool gives) {
  if (!gives) std::memset(values.data, 0, values.bytes());
  if (!transport_->all_sum(values)) return false;
  bytes_ += 2.0 * (size() - 1) / size() * double(values.bytes());
  return true;
}

std::vector<std::string> Communicator::exchange_texts(const std::string& text) {
  const int me = rank(), ranks = size();
  std::vector<uint64_t> sizes(size_t(ranks), text.size());
  std::vector<std::string> texts(size_t(ranks), text);
  uint64_t own_size = text.size();
  std::string own = text;
  std::vector<Message> sends, receives;
  for (int r = 0; r < ranks; ++r) {
    if (r == me) continue;
    sends.push_back({r, &own_size, sizeof own_size});
    receives.push_back({r, &sizes[size_t(r)], sizeof own_size});
  }
  transport_->exchange(sends, receives);
  sends.clear();
  receives.clear();
  for (int r = 0; r < ranks; ++r) {
    if (r == me) continue;
    check(sizes[size_t(r)] < uint64_t{1} << 30, "Communicator: a text of ", sizes[size_t(r)], " bytes");
    texts[size_t(r)].resize(sizes[size_t(r)]);
    if (!own.empty()) sends.push_back({r, own.data(), own.size()});
    if (!texts[size_t(r)].empty()) receives.push_back({r, texts[size_t(r)].data(), texts[size_t(r)].size()});
  }
  transport_->exchange(sends, receives);
  return texts;
}

std::vector<std::string> Communicator::gather(const std::string& text) {
  std::vector<std::string> all = exchange_texts(word + text);
  throw_problem(all, nullptr);
  for (std::string& one : all) one.erase(0, 1);
  return all;
}

void Communicator::agree(const Error* problem) {
  throw_problem(
      exchange_texts(problem ? text(trouble, int(problem->fault()), "\n", this_host(), "\n", problem->what())
                             : std::string(1, word)),
      problem);
}

void Communicator::throw_problem(const std::vector<std::string>& texts, const Error* own) const {
  for (int r = 0; r < size(); ++r) {
    const std::string& theirs = texts[size_t(r)];
    if (theirs.empty() || theirs[0] != trouble) continue;
    if (own && r == rank()) throw Agreed(own->fault(), own->what(), true);
    const size_t first = theirs.find('\n'), second = theirs.find('\n', first + 1);
    throw Agreed(Fault(std::stoi(theirs.substr(1))),
                 text(place_of(r, size(), theirs.substr(first + 1, second - first - 1)), ": ",
                      theirs.substr(second + 1)),
                 false);
  }
}

int ranks_of_machine(const std::vector<std::string>& hosts) {
  const auto other = std::find_if(hosts.begin(), hosts.end(), [&](const auto& h) { return h != hosts[0]; });
  const auto ranks = size_t(other - hosts.begin());
  bool alike = std::has_single_bit(ranks) && hosts.size() % ranks == 0;
  for (size_t i = 0; alike && i < hosts.size(); ++i) alike = hosts[i] == hosts[i / ranks * ranks];
  return alike ? int(ranks) : 1;
}

std::function<int(int own)> least_of(Communicator* world) {
  if (!world) return {};
  return [world](int own) {
    for (const std::string& other : world->gather(std::to_string(own))) own = std::min(own, std::stoi(other));
    return own;
  };
}

}  // namespace retort
