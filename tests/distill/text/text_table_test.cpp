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
  EXPECT_EQ(table.plain(), "名前   x\n----  --\ne\u0301      1\n\xef\xbf\xbd     -2\n");
}

// Whoever names a method, a class or a study names no formula, element, cell or escape sequence.
TEST(TextTable, CellsShowThemselvesInEveryFormat) {
  TextTable table({"a|b", "x"});
  for (const char* cell : {"=1+1", "+A1", "-cmd", "@sum", "-1.5", "+3", "-",
                           "\xc2\x9b\x33"
                           "1m"})
    table.add_row({cell, "1"});
  EXPECT_EQ(table.csv(), "a|b,x\n'=1+1,1\n'+A1,1\n'-cmd,1\n'@sum,1\n-1.5,1\n+3,1\n-,1\n 31m,1\n");
  TextTable marks({"<b>"});
  marks.add_row({"<script>x</script>"});
  marks.add_row({"a|b\\|c `d` *e* _f_ kd_ls [g](h) &amp; ~~i~~"});
  EXPECT_EQ(marks.markdown(),
            "| &lt;b&gt; |\n|---|\n| &lt;script&gt;x&lt;/script&gt; |\n"
            "| a\\|b\\\\\\|c \\`d\\` \\*e\\* \\_f\\_ kd_ls \\[g\\](h) &amp;amp; \\~\\~i\\~\\~ |\n");
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
