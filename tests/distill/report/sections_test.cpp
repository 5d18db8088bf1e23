// The page's building blocks: files with holes, and tables that tell a phone what their cells are.
#include "distill/report/sections.h"

#include <gtest/gtest.h>

#include "distill/report/embedded.h"
#include "distill/report/html_table.h"
#include "distill/report/page.h"
#include "distill/settings/setting_keys.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::expect_fault;

TEST(ReportSections, EveryHoleIsFilledAndNothingIsLeftOver) {
  expect_contains(section("differences.html", {{"figures", "<p>{{kept}}</p>"}}), "<p>{{kept}}</p></section>");
  expect_fault(Fault::internal, "needs figures", [] { section("differences.html"); });
  expect_fault(Fault::internal, "has no figure", [] {
    section("differences.html", {{"figures", ""}, {"figure", ""}});
  });
  expect_fault(Fault::internal, "there is no", [] { section("nowhere.html"); });
  size_t files = 0;
  for (const EmbeddedSection* one = embedded_sections; one->name; ++one) ++files;
  EXPECT_GE(files, 9u);
}

TEST(ReportTable, CellsKnowTheirColumn) {
  HtmlTable table("stack");
  table.column("a<b");
  table.column("points", Column::number, true);
  EXPECT_TRUE(table.empty());
  table.row();
  table.head("x");
  table.cell("1");
  table.row("dim");
  table.head("y");
  table.cell("");
  const std::string html = table.finish();
  expect_contains(html, "<table class=\"stack\">");
  expect_contains(html, "<th scope=\"col\">a&lt;b</th>");
  expect_contains(html, "<td class=\"n\" data-label=\"points\">1</td></tr>\n<tr class=\"dim\">");
  expect_contains(html, "<td class=\"n\"></td></tr>\n</tbody>");
  expect_fault(Fault::internal, "beyond the 2 columns", [&] { table.cell("2"); });
  HtmlTable narrow;
  narrow.column("a");
  narrow.column("b");
  narrow.row();
  narrow.cell("1");
  expect_fault(Fault::internal, "1 cells in 2", [&] { narrow.row(); });
}

// A page may be passed on. Every key that names a place is one that the page leaves without it; teacher_model
// is a network's name, which goes with one.
TEST(ReportPage, NamesNoPlaceOfTheMachine) {
  RunSettings settings = default_settings("distill");
  for (const SettingKey& key : setting_keys())
    if (key.effect == KeyEffect::place && key.name != "teacher_model")
      set_key(settings, key.name, "coco:/secret/place/file");
  for (std::string* file : {&settings.data.train_json, &settings.data.test_json, &settings.data.images})
    *file = "/secret/place/file";
  const std::string shown = settings_toml(without_places(settings));
  EXPECT_EQ(shown.find("secret"), std::string::npos) << shown;
  expect_contains(shown, "spec = \"coco:DIR\"");
  for (const char* drawn : {"synthetic:train=8,test=2", "scenes:train=8,test=2"}) {
    settings.data.spec = drawn;
    EXPECT_EQ(without_places(settings).data.spec, drawn);
    EXPECT_EQ(shown_spec(drawn), drawn);
  }
}

}  // namespace
}  // namespace retort
