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

TEST(Text, WithoutWhatSteersATerminal) {
  EXPECT_EQ(without_controls("a\x1b[31m\nb\x7f\tc", '?'), "a?[31m?b??c");
  EXPECT_EQ(without_controls("a\nb\tc\rd", ' ', "\n\t"), "a\nb\tc d");
  EXPECT_EQ(without_controls("\xc2\x9b"
                             "31m \xc2\xa0\xc3\xa9 \x9b\xc2",
                             '?'),
            "?31m \xc2\xa0\xc3\xa9 \x9b\xc2");
}

TEST(Text, LongOnesLoseTheirMiddle) {
  EXPECT_EQ(without_the_middle("0123456789abcdef", 16), "0123456789abcdef");
  EXPECT_EQ(without_the_middle("0123456789abcdefg", 16), "01234 ... bcdefg");
  EXPECT_EQ(without_the_middle("0123\xc3\xa9"
                               "6789abcdefg",
                               16),
            "0123 ... bcdefg");
  EXPECT_EQ(without_the_middle("0123456789\xc3\xa9"
                               "bcdef",
                               16),
            "01234 ... bcdef");
}

TEST(Text, SomeNamesOfAFile) {
  EXPECT_EQ(some_of({}), "");
  EXPECT_EQ(some_of({"a", "b", "c", "d"}), "a, b, c, d");
  EXPECT_EQ(some_of({"a", "b", "c", "d", "e", "f"}), "a, b, c, d and 2 more");
  EXPECT_EQ(some_of({std::string(300, 'x')}), std::string(200, 'x'));
}

}  // namespace
}  // namespace retort
