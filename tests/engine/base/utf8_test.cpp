// What is UTF-8 and what is not, by RFC 3629.
#include "engine/base/utf8.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace retort {
namespace {

TEST(Utf8, ValidTextIsTakenToItsEnd) {
  for (const std::string text :
       {"", "plain", "\xc3\xa4\xc3\xb6", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc2\x80", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xef\xbb\xbfx"})
    EXPECT_TRUE(is_utf8(text)) << text;
}

TEST(Utf8, TheFirstBadByteIsFound) {
  // Lone continuation, overlong forms, surrogates, beyond U+10FFFF, cut off, bytes of no use.
  for (const std::string bad : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                                "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe",
                                "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2\x28\xa1", "\xe2\x82("}) {
    EXPECT_EQ(valid_utf8(bad), 0u);
    EXPECT_EQ(valid_utf8("ab\xc3\xa4" + bad + "z"), 4u);
  }
}

TEST(Utf8, TheLineIsNamed) {
  testing::expect_fault(Fault::input, "a.toml:3: byte 8 is 255, which is no UTF-8",
                        [] { check_utf8("one\ntwo\n\xff\n", "a.toml", Fault::input); });
  EXPECT_NO_THROW(check_utf8("\xc3\xa4", "a.toml", Fault::usage));
}

}  // namespace
}  // namespace retort
