// What processes do together, over a transport of threads.
#include "engine/distributed/communicator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "engine/distributed/tree.h"
#include "tests/support/expect_error.h"
#include "tests/support/thread_transport.h"

namespace retort {
namespace {

using testing::on_ranks;

float value(int rank, int64_t i) {
  return std::sin(float(rank * 7919 + i)) * std::exp(float(i % 23) - 11);
}

// Of ranks on machines of so many, where some give nothing.
void expect_order_of_the_tree(int ranks, int machine, int64_t count, const std::vector<bool>& gives) {
  std::vector<std::vector<float>> places(gives.size());
  TreeSum tree([&](int to, int from) {
    for (int64_t i = 0; i < count; ++i) places[size_t(to)][size_t(i)] += places[size_t(from)][size_t(i)];
  });
  for (int rank = 0; rank < ranks; ++rank) {
    if (!gives[size_t(rank)]) {
      tree.skip();
      continue;
    }
    std::vector<float> own;
    for (int64_t i = 0; i < count; ++i) own.push_back(value(rank, i));
    places[size_t(tree.place())] = own;
    tree.push();
  }
  tree.finish();
  on_ranks(ranks, [&](Communicator& world) {
    world.set_machine(machine);
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(gives[size_t(world.rank())] ? value(world.rank(), i) : NAN);
    world.sum({values.data(), {count}, DType::f32}, gives);
    EXPECT_EQ(std::memcmp(values.data(), places[0].data(), values.size() * sizeof(float)), 0)
        << ranks << " ranks, " << machine << " on a machine, " << count << " numbers";
  });
}

TEST(Communicator, AddsInTheOrderOfTheTree) {
  for (const int ranks : {1, 2, 3, 4, 5, 8}) {
    for (const int64_t count : {1, 3, 1000}) {
      for (int without = -1; without < (ranks > 1 ? ranks : 0); ++without) {
        std::vector<bool> gives(size_t(ranks), true);
        if (without >= 0) gives[size_t(without)] = false;
        expect_order_of_the_tree(ranks, 1, count, gives);
      }
    }
  }
}

// Machine by machine, also where one of them has nothing to give.
TEST(Communicator, AddsInTheOrderOfTheTreeInTwoLevels) {
  for (const auto& [ranks, machine] :
       std::vector<std::pair<int, int>>{{4, 2}, {4, 4}, {6, 2}, {8, 2}, {8, 4}}) {
    for (const int64_t count : {1, 3, 1000}) {
      for (int without = 0; without <= machine + 1 && without < ranks; ++without) {
        std::vector<bool> gives(size_t(ranks), true);
        for (int r = 0; r < without; ++r) gives[size_t(ranks - 1 - r)] = false;
        expect_order_of_the_tree(ranks, machine, count, gives);
      }
    }
  }
}

TEST(Communicator, FindsHowManyRanksAreOnAMachine) {
  EXPECT_EQ(ranks_of_machine({"a"}), 1);
  EXPECT_EQ(ranks_of_machine({"a", "a", "b", "b", "c", "c"}), 2);
  EXPECT_EQ(ranks_of_machine({"a", "a", "a", "a"}), 4);
  EXPECT_EQ(ranks_of_machine({"a", "a", "a", "b", "b", "b"}), 1) << "no power of two";
  EXPECT_EQ(ranks_of_machine({"a", "a", "b", "b", "b", "c"}), 1);
  EXPECT_EQ(ranks_of_machine({"a", "b", "a", "b"}), 1) << "dealt out in turn";
}

// More than one bucket, and numbers of 8 bytes.
TEST(Communicator, AddsLongTensors) {
  const int64_t count = (int64_t{5} << 20) + 3;
  on_ranks(3, [&](Communicator& world) {
    std::vector<double> values(size_t(count), 0);
    for (int64_t i = 0; i < count; ++i) values[size_t(i)] = double(i) * (world.rank() + 1);
    world.sum({values.data(), {count}, DType::f64}, {true, true, true});
    int wrong = 0;
    for (int64_t i = 0; i < count; ++i) wrong += values[size_t(i)] != double(6 * i);
    EXPECT_EQ(wrong, 0);
    EXPECT_NEAR(world.bytes(), 2.0 * 2 / 3 * double(count) * 8, 100.0 * 8);
  });
}

// In whatever order: the same on all ranks, without what is not given.
TEST(Communicator, AddsFastToo) {
  for (const bool last_gives : {true, false}) {
    on_ranks(3, [&](Communicator& world) {
      world.set_reduce(Reduce::fast);
      const bool gives = world.rank() < 2 || last_gives;
      std::vector<float> values;
      for (int64_t i = 0; i < 1000; ++i) values.push_back(gives ? value(world.rank(), i) : NAN);
      world.sum({values.data(), {1000}, DType::f32}, {true, true, last_gives});
      for (int64_t i = 0; i < 1000; ++i) {
        const double exact = double(value(0, i)) + value(1, i) + (last_gives ? value(2, i) : 0);
        ASSERT_NEAR(values[size_t(i)], exact, 1e-6 * (std::abs(exact) + std::exp(double(i % 23) - 11)));
      }
      const std::string own(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      for (const std::string& other : world.gather(own)) EXPECT_EQ(other, own);
    });
  }
}

TEST(Communicator, GathersTexts) {
  on_ranks(4, [](Communicator& world) {
    const std::string own(size_t(world.rank() * 3), char('a' + world.rank()));
    EXPECT_EQ(world.gather(own), (std::vector<std::string>{"", "bbb", "cccccc", "ddddddddd"}));
  });
}

TEST(Communicator, AgreesOnTheFirstProblem) {
  on_ranks(4, [](Communicator& world) {
    world.agree(nullptr);
    const Error mine(Fault::input, "no file");
    try {
      world.agree(world.rank() >= 2 ? &mine : nullptr);
      ADD_FAILURE() << "no error on rank " << world.rank();
    } catch (const Agreed& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_EQ(error.own(), world.rank() == 2);
      testing::expect_contains(error.what(), world.rank() == 2 ? "no file" : "rank 2 of 4");
    }
    world.agree(nullptr);
  });
}

// One fails before the others ask: they took its problem for an answer, and waited for the next one.
TEST(Communicator, AProblemMeetsThoseWhoGather) {
  on_ranks(3, [](Communicator& world) {
    const Error mine(Fault::usage, "the folder exists");
    try {
      if (world.rank() == 0) world.agree(&mine);
      world.gather("onednn");
      ADD_FAILURE() << "no error on rank " << world.rank();
    } catch (const Agreed& error) {
      EXPECT_EQ(error.fault(), Fault::usage);
      EXPECT_EQ(error.own(), world.rank() == 0);
      testing::expect_contains(error.what(), world.rank() == 0 ? "the folder" : "rank 0 of 3");
    }
    world.agree(nullptr);
  });
}

TEST(Communicator, NamesALostRank) {
  on_ranks(3, [](Communicator& world) {
    if (world.rank() == 1) return;
    world.transport().set_time_limit(0.2);
    try {
      world.gather("here");
      ADD_FAILURE() << "no error on rank " << world.rank();
    } catch (const Error& error) {
      EXPECT_EQ(int(error.fault()), 9);
      testing::expect_contains(error.what(), "rank 1 of 3 has not answered for 0.2 s");
    }
  });
}

}  // namespace
}  // namespace retort
