// The order of sums, and parts of a batch.
#include "engine/distributed/tree.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace retort {
namespace {

// The sum of parts first to last as it is written down; an empty part is "".
std::string sum_of(int parts, const std::set<int>& empty) {
  std::map<int, std::string> places;
  TreeSum sum([&](int to, int from) { places[to] = "(" + places[to] + "+" + places[from] + ")"; });
  for (int i = 0; i < parts; ++i) {
    if (empty.contains(i)) {
      sum.skip();
      continue;
    }
    EXPECT_LT(sum.place(), TreeSum::places_for(parts)) << parts;
    places[sum.place()] = std::to_string(i);
    sum.push();
  }
  return sum.finish() ? places[0] : "";
}

TEST(TreeSum, NeighboursAreAddedAndAnOddOneMovesUp) {
  EXPECT_EQ(sum_of(1, {}), "0");
  EXPECT_EQ(sum_of(2, {}), "(0+1)");
  EXPECT_EQ(sum_of(3, {}), "((0+1)+2)");
  EXPECT_EQ(sum_of(4, {}), "((0+1)+(2+3))");
  EXPECT_EQ(sum_of(5, {}), "(((0+1)+(2+3))+4)");
  EXPECT_EQ(sum_of(6, {}), "(((0+1)+(2+3))+(4+5))");
  EXPECT_EQ(sum_of(7, {}), "(((0+1)+(2+3))+((4+5)+6))");
}

TEST(TreeSum, AnEmptyPartLeavesTheOthersWhereTheyAre) {
  EXPECT_EQ(sum_of(4, {0}), "(1+(2+3))");
  EXPECT_EQ(sum_of(4, {1}), "(0+(2+3))");
  EXPECT_EQ(sum_of(4, {0, 1}), "(2+3)");
  EXPECT_EQ(sum_of(4, {0, 2}), "(1+3)");
  EXPECT_EQ(sum_of(8, {0, 2, 4, 6}), "((1+3)+(5+7))");
  EXPECT_EQ(sum_of(3, {0, 1, 2}), "");
}

// The promise: whoever holds a power of two of neighbours holds a subtree.
TEST(TreeSum, IsTheSameForEveryNumberOfProcesses) {
  for (int ranks = 1; ranks <= 7; ++ranks) {
    for (int each = 1; each <= 8; each *= 2) {
      const int parts = ranks * each;
      for (int empty = 0; empty < parts; ++empty) {
        std::map<int, std::string> places;
        TreeSum over_ranks(
            [&](int to, int from) { places[to] = "(" + places[to] + "+" + places[from] + ")"; });
        for (int rank = 0; rank < ranks; ++rank) {
          std::map<int, std::string> own;
          TreeSum sum([&](int to, int from) { own[to] = "(" + own[to] + "+" + own[from] + ")"; });
          for (int i = rank * each; i < (rank + 1) * each; ++i) {
            if (i == empty) {
              sum.skip();
              continue;
            }
            own[sum.place()] = std::to_string(i);
            sum.push();
          }
          if (!sum.finish()) {
            over_ranks.skip();
            continue;
          }
          places[over_ranks.place()] = own[0];
          over_ranks.push();
        }
        EXPECT_EQ(over_ranks.finish() ? places[0] : "", sum_of(parts, {empty})) << ranks << " times " << each;
      }
    }
  }
}

TEST(TreeSum, PartsCoverABatch) {
  for (int parts = 1; parts <= 9; ++parts) {
    for (int64_t images = 0; images < 40; ++images) {
      int64_t next = 0;
      for (int i = 0; i < parts; ++i) {
        const Part part = part_of(images, parts, i);
        EXPECT_EQ(part.first, next);
        EXPECT_GE(part.count, images / parts);
        EXPECT_LE(part.count, (images + parts - 1) / parts);
        next += part.count;
      }
      EXPECT_EQ(next, images);
    }
  }
}

// Where the last part goes is known before it is there, whichever places are empty.
TEST(TreeSum, KnowsWhereTheLastPartGoes) {
  for (const int parts : {1, 2, 3, 4, 6, 8}) {
    for (int empty = 0; empty < 1 << parts; ++empty) {
      std::vector<std::pair<int, int>> added;
      TreeSum sum([&](int to, int from) { added.emplace_back(to, from); });
      int last = -1;
      for (int i = 0; i < parts; ++i)
        if (!(empty >> i & 1)) last = i;
      std::vector<std::pair<int, int>> expected;
      for (int i = 0; i < parts; ++i) {
        if (i == last) {
          int from = sum.place();
          for (const int to : sum.way_down()) expected.emplace_back(to, std::exchange(from, to));
          added.clear();
        }
        empty >> i & 1 ? sum.skip() : sum.push();
      }
      EXPECT_EQ(sum.finish(), last >= 0);
      if (last >= 0) {
        EXPECT_EQ(added, expected) << parts << " parts, empty: " << empty;
      }
    }
  }
}

}  // namespace
}  // namespace retort
