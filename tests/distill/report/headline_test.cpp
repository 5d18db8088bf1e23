// The picture to share: what is in it, the same as SVG and as pixels.
#include "distill/report/headline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "distill/report/stroke_font.h"
#include "distill/study/collect.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::FakeRuns;

Results results_of(const FakeRuns& runs) {
  return collect_results({runs.folder()});
}

bool says(const Sketch& sketch, const std::string& content) {
  return std::any_of(sketch.words.begin(), sketch.words.end(), [&](const Sketch::Words& words) {
    return words.content.find(content) != std::string::npos;
  });
}

// Pixels of exactly this colour.
int64_t pixels_of(const Image& image, int red, int green, int blue) {
  int64_t count = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    count += image.pixels[i] == red && image.pixels[i + 1] == green && image.pixels[i + 2] == blue;
  return count;
}

TEST(ReportHeadline, HasEachMethodsDotAndInterval) {
  FakeRuns runs;
  const double kd[] = {60, 61, 62}, pcd[] = {62, 63.2, 63.8};
  for (size_t i = 0; i < 3; ++i) {
    const std::string seed = "/seed-" + std::to_string(i + 1);
    runs.add("kd" + seed, FakeRuns::settings("kd"), "finished", kd[i], kd[i], i + 1);
    runs.add("pcd" + seed, FakeRuns::settings("pcd"), "finished", pcd[i], pcd[i], i + 1);
    runs.add("ce" + seed, FakeRuns::settings("ce"), "finished", kd[i] - 5, kd[i] - 6.1 - pcd[i] / 100, i + 1);
  }
  const std::optional<Sketch> sketch = headline(results_of(runs));
  ASSERT_TRUE(sketch);
  EXPECT_EQ(sketch->width, 1200);
  EXPECT_EQ(sketch->height, 630);
  EXPECT_TRUE(says(*sketch, "pcd"));
  EXPECT_TRUE(says(*sketch, "+2.00 (+1."));
  EXPECT_TRUE(says(*sketch, "3 seeds"));
  EXPECT_TRUE(says(*sketch, "points over plain KD"));
  for (const Sketch::Words& words : sketch->words) EXPECT_TRUE(words.y > 0 && words.y < 630) << words.content;
  const Image image = sketch_image(*sketch);
  EXPECT_EQ(image.pixels.size(), size_t(1200) * 630 * 3);
  EXPECT_GT(pixels_of(image, 0xd1, 0x50, 0x0c), 300);  // pcd's orange: a dot and a bar
  EXPECT_GT(pixels_of(image, 0x77, 0x71, 0x6a), 250);   // and the student alone
  const std::string svg = sketch_svg(*sketch, "a <title>");
  expect_contains(svg, "viewBox=\"0 0 1200.0 630.0\"");
  expect_contains(svg, "a &lt;title&gt;");
  expect_contains(svg, "stroke=\"#d1500c\"");

  // The command writes both, and the page says so.
  ASSERT_EQ(testing::run({"report", "s", "--no-eval", "--quiet"}, runs.work()).code, 0);
  EXPECT_EQ(testing::content_of(runs.folder() / "headline.svg"), sketch_svg(*sketch, "s"));
  EXPECT_EQ(read_image(runs.folder() / "headline.png").pixels, image.pixels);
  expect_contains(testing::content_of(runs.folder() / "report.html"), "content=\"headline.png\"");
}

TEST(ReportHeadline, WithoutKdItShowsMeansAndWithoutRunsNothing) {
  FakeRuns runs;
  runs.add("pcd", FakeRuns::settings("pcd"), "running", 60, 60);
  EXPECT_FALSE(headline(results_of(runs)));
  runs.add("dkd", FakeRuns::settings("dkd"), "finished", 61.25, 60.75);
  const std::optional<Sketch> sketch = headline(results_of(runs));
  ASSERT_TRUE(sketch);
  EXPECT_TRUE(says(*sketch, "60.75"));
  EXPECT_TRUE(says(*sketch, "one seed has no interval"));
}

TEST(StrokeFont, LettersDifferAndStayInTheirLine) {
  std::set<std::vector<StrokePath>> seen;
  for (char c = '!'; c <= '~'; ++c) {
    if (std::string("$@\\`{}").find(c) != std::string::npos) continue;  // drawn as boxes
    const StrokedText letter = stroked(std::string(1, c));
    ASSERT_FALSE(letter.paths.empty()) << c;
    EXPECT_TRUE(seen.insert(letter.paths).second) << c;
    for (const StrokePath& path : letter.paths) {
      for (const auto& [x, y] : path) {
        EXPECT_TRUE(x >= 0 && x <= letter.width + 1e-9) << c;
        EXPECT_TRUE(y >= -0.2 && y <= 0.6) << c;
      }
    }
  }
  EXPECT_NEAR(stroked("aa").width, 2 * stroked("a").width + 2.2 / 12, 1e-9);
  EXPECT_EQ(stroked("").width, 0);
  EXPECT_EQ(stroked("±−λ").paths.size(), 6u);
  EXPECT_EQ(stroked("é").paths.size(), 1u);  // a box
  stroked("\xe2");                           // cut off
}

}  // namespace
}  // namespace retort
