#include "distill/text/text_table.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::error_of;

TextTable sample() {
  TextTable table({"method", "top-1", "note"});
  table.add_row({"kd", "70.12 ± 0.31", "a|b"});
  table.add_row({"progressive", "9.5", "say \"x\", y"});
  table.add_row({"dïst", "-", ""});
  return table;
}

TEST(TextTable, Plain) {
  EXPECT_EQ(sample().plain(),
            "method              top-1  note\n"
            "-----------  ------------  ----------\n"
            "kd           70.12 ± 0.31  a|b\n"
            "progressive           9.5  say \"x\", y\n"
            "dïst                    -\n");
}

TEST(TextTable, Markdown) {
  EXPECT_EQ(sample().markdown(),
            "| method | top-1 | note |\n"
            "|---|---:|---|\n"
            "| kd | 70.12 ± 0.31 | a\\|b |\n"
            "| progressive | 9.5 | say \"x\", y |\n"
            "| dïst | - |  |\n");
}

TEST(TextTable, Csv) {
  EXPECT_EQ(sample().csv(),
            "method,top-1,note\n"
            "kd,70.12 ± 0.31,a|b\n"
            "progressive,9.5,\"say \"\"x\"\", y\"\n"
            "dïst,-,\n");
}

TEST(TextTable, WideAndCombiningCharacters) {
  TextTable table({"名前", "x"});
  table.add_row({"e\u0301", "1"});
  table.add_row({"\xff", "-2"});
  EXPECT_EQ(table.plain(), "名前   x\n----  --\ne\u0301      1\n\xff     -2\n");
}

TEST(TextTable, Edges) {
  EXPECT_EQ(TextTable({"a", "b"}).plain(), "a  b\n-  -\n");
  TextTable table({"a", "b"});
  error_of(Fault::internal, [&] { table.add_row({"1"}); });
  table.add_row({"two\nlines", "\x1b[31m"});
  EXPECT_EQ(table.csv(), "a,b\ntwo lines, [31m\n");
  TextTable words({"-"});
  words.add_row({"-"});
  words.add_row({"longer"});
  EXPECT_EQ(words.plain(), "-\n------\n-\nlonger\n");
}

}  // namespace
}  // namespace retort
