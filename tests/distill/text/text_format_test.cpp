#include "distill/text/text_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace retort {
namespace {

TEST(TextFormat, WrappedBetweenWords) {
  EXPECT_EQ(wrapped("one two three", 8), "one two\nthree");
  EXPECT_EQ(wrapped("one two three", 7, 2), "one two\n  three");
  EXPECT_EQ(wrapped("  one  two", 80), "  one  two") << "blanks stay";
  EXPECT_EQ(wrapped("a longerthantheline b", 6, 4), "a\n    longerthantheline\n    b");
  EXPECT_EQ(wrapped("", 10), "");
  EXPECT_EQ(wrapped("ends here ", 9), "ends here");
  EXPECT_EQ(wrapped("\u4e00\u4e00 \u4e00", 5), "\u4e00\u4e00\n\u4e00") << "wide characters";
}

TEST(TextFormat, Counted) {
  EXPECT_EQ(counted(1, "epoch"), "1 epoch");
  EXPECT_EQ(counted(0, "epoch"), "0 epochs");
  EXPECT_EQ(counted(3, "image"), "3 images");
}

TEST(TextFormat, DisplayWidth) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("±é"), 2u);
  EXPECT_EQ(display_width("漢字"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("\U0001F600"), 2u);
  EXPECT_EQ(display_width("\xff\xc3"), 2u);  // no UTF-8
  EXPECT_EQ(display_width("\xe6\xbc"), 2u);  // cut off
  EXPECT_EQ(display_width("\xe6zz"), 3u);
}

TEST(TextFormat, CutToWidth) {
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abcd", 3), "ab…");
  EXPECT_EQ(cut_to_width("漢字", 3), "漢…");
  EXPECT_EQ(cut_to_width("漢字", 2), "…");
  EXPECT_EQ(cut_to_width("ab", 1), "…");
  EXPECT_EQ(cut_to_width("ab", 0), "");
}

TEST(TextFormat, Numbers) {
  EXPECT_EQ(fixed(3.14159, 2), "3.14");
  EXPECT_EQ(fixed(-0.5, 0), "-0");
  EXPECT_EQ(fixed(1e15, 1), "1000000000000000.0");
  EXPECT_EQ(fixed(std::numeric_limits<double>::max(), 3).size(), 313u);
  EXPECT_EQ(fixed(std::nan(""), 2), "-");
  EXPECT_EQ(fixed(-std::numeric_limits<double>::infinity(), 2), "-inf");
  EXPECT_EQ(significant(0.05, 3), "0.05");
  EXPECT_EQ(significant(0.000123456, 3), "0.000123");
  EXPECT_EQ(significant(1.5e-7, 3), "1.5e-07");
  EXPECT_EQ(significant(2.34567, 4), "2.346");
}

TEST(TextFormat, RoughDuration) {
  EXPECT_EQ(rough_duration(0.2), "1 second");
  EXPECT_EQ(rough_duration(45.4), "45 seconds");
  EXPECT_EQ(rough_duration(100), "2 minutes");
  EXPECT_EQ(rough_duration(90 * 60), "90 minutes");
  EXPECT_EQ(rough_duration(5.26 * 3600), "5.3 hours");
  EXPECT_EQ(rough_duration(26646589), "308 days");
  EXPECT_EQ(rough_duration(1e9), "11,574 days");
  EXPECT_EQ(rough_duration(std::numeric_limits<double>::quiet_NaN()), "-");
}

TEST(TextFormat, Duration) {
  EXPECT_EQ(duration(0), "0:00");
  EXPECT_EQ(duration(59.6), "1:00");
  EXPECT_EQ(duration(75), "1:15");
  EXPECT_EQ(duration(3599.9), "1:00:00");
  EXPECT_EQ(duration(3723), "1:02:03");
  EXPECT_EQ(duration(360000), "100:00:00");
  EXPECT_EQ(duration(-1), "0:00");
  EXPECT_EQ(duration(std::nan("")), "-");
  EXPECT_EQ(duration(std::numeric_limits<double>::infinity()), "-");
}

}  // namespace
}  // namespace retort
