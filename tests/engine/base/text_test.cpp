// Numbers and lists as text.
#include "engine/base/text.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Text, TrimmedOfBlanksAtBothEnds) {
  EXPECT_EQ(trimmed(" \ta b\t "), "a b");
  EXPECT_EQ(trimmed("a"), "a");
  EXPECT_EQ(trimmed(" \t"), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(trimmed("a\r\n"), "a\r\n") << "line ends are blanks only where they are named";
  EXPECT_EQ(trimmed("\r\n a\r\n", " \r\n"), "a");
}

TEST(Text, SomeNamesOfAFile) {
  EXPECT_EQ(some_of({}), "");
  EXPECT_EQ(some_of({"a", "b", "c", "d"}), "a, b, c, d");
  EXPECT_EQ(some_of({"a", "b", "c", "d", "e", "f"}), "a, b, c, d and 2 more");
  EXPECT_EQ(some_of({std::string(300, 'x')}), std::string(200, 'x'));
}

}  // namespace
}  // namespace retort
