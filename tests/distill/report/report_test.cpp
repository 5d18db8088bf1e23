// `retort report`: what it concludes from numbers, and that its page is sound whatever it is about.
#include "distill/report/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "distill/report/analysis.h"
#include "distill/report/embedded.h"
#include "distill/report/figures.h"
#include "distill/report/latex.h"
#include "distill/report/pcd_steps.h"
#include "distill/report/published.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/collect.h"
#include "distill/text/markup.h"
#include "distill/text/palette.h"
#include "distill/text/text_format.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"
#include "tests/support/page.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::content_of;
using testing::expect_contains;
using testing::expect_fault;
using testing::failure;
using testing::FakeRuns;
using testing::flaw_of;
using testing::Outcome;
using testing::run;
using testing::TempFolder;

Report report_of(const FakeRuns& runs) {
  return {.data = collect_results({runs.folder()}), .evaluations = {}};
}

TEST(ReportText, IsEscaped) {
  EXPECT_EQ(escaped_markup("<b>\"Tom & 'Jerry'\"</b>\n"),
            "&lt;b&gt;&quot;Tom &amp; &#39;Jerry&#39;&quot;&lt;/b&gt; ");
  EXPECT_EQ(escaped_markup("λ é 😀"), "λ é 😀");
  EXPECT_EQ(escaped_markup("\xff"
                           "a\xc3"),
            "\xef\xbf\xbd"
            "a\xef\xbf\xbd");
  EXPECT_EQ(escaped_markup("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // half a surrogate pair
  EXPECT_EQ(signed_number(0.416, 2), "+0.42");
  EXPECT_EQ(signed_number(-1.3, 2), "−1.30");
  EXPECT_EQ(signed_number(-0.001, 2), "0.00");
  EXPECT_EQ(signed_number(std::nan(""), 2), "–");
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(ReportStatistics, RankCorrelation) {
  const RankCorrelation c =
      rank_correlation({1, 2, 3, 4, 5}, {5, 6, 7, 8, 7});  // with a tie; as SciPy has it
  EXPECT_NEAR(c.rho, 0.8207826816681233, 1e-12);
  EXPECT_LT(c.low, c.rho);
  EXPECT_GT(c.high, c.rho);
  EXPECT_EQ(c.n, 5u);
  EXPECT_NEAR(rank_correlation({1, 2, 3, 4}, {8, 6, 4, 1}).rho, -1, 1e-12);
  EXPECT_TRUE(std::isnan(rank_correlation({1, 2, 3}, {1, 2, 3}).rho));
  EXPECT_TRUE(std::isnan(rank_correlation({1, 1, 1, 1}, {1, 2, 3, 4}).rho));
  expect_contains(correlation_verdict(rank_correlation({1, 1, 1, 1}, {1, 2, 3, 4}), "pcd", 3), "Cannot tell");
  expect_contains(correlation_verdict(c, "pcd", 3), "Cannot tell");  // five points
  std::vector<double> up, down;
  for (int i = 0; i < 40; ++i) up.push_back(i), down.push_back(-i * i);
  expect_contains(correlation_verdict(rank_correlation(up, down), "pcd", 3),
                  "pcd gains more on classes that the teacher is less sure");
  expect_contains(correlation_verdict(rank_correlation(up, up), "pcd", 3), "is sure of");
  expect_contains(correlation_verdict(rank_correlation(up, up), "pcd", 1), "Cannot tell: one seed");
}

TEST(ReportStatistics, Verdicts) {
  const std::vector<double> base = {10, 11, 12}, same = {10.5, 10.6, 12.2}, more = {12, 13.1, 13.9};
  EXPECT_EQ(verdict_text(paired_difference(more, base)), "better");
  EXPECT_EQ(verdict_text(paired_difference(base, more)), "worse");
  EXPECT_EQ(verdict_text(paired_difference(same, base)), "cannot tell");
  const std::vector<double> one = {1}, two = {2};
  EXPECT_EQ(verdict_text(paired_difference(two, one)), "one seed: no interval");
  EXPECT_EQ(difference_text(paired_difference(two, one)), "+1.00");
  EXPECT_EQ(verdict_text(paired_difference({}, {})), "");
  expect_contains(difference_text(paired_difference(more, base)), "+2.00 (+1.");
}

// The reference values of the loss: mean over two samples.
TEST(ReportPcd, StepsSumToTheLoss) {
  const std::vector<std::vector<double>> teacher = {{2, .5, -1, 0, 1, -.5}, {0, 3, -2, 1, -1, .5}},
                                         student = {{1, 1, -.5, .2, .3, -1}, {.5, 1.5, -1, 1.2, -.2, 0}};
  const auto loss = [&](const std::string& tau, const std::string& stages) {
    MethodSettings method = method_settings("pcd");
    method.set("temperature", tau);
    method.set("stages", stages);
    return (pcd_steps(method, teacher[0], student[0]).loss + pcd_steps(method, teacher[1], student[1]).loss) /
           2;
  };
  EXPECT_NEAR(loss("1", "3"), 0.1138900089, 1e-10);
  EXPECT_NEAR(loss("4", "3"), 0.0556365667, 1e-10);
  EXPECT_NEAR(loss("1", "5"), 0.1221285261, 1e-10);
  EXPECT_NEAR(loss("4", "1"), 0.0136412270, 1e-10);
  const PcdSteps steps = pcd_steps(method_settings("pcd"), teacher[0], student[0]);
  EXPECT_EQ(steps.order, (std::vector<int32_t>{0, 4, 1, 2, 5, 3}));  // ties: the lower class first
  ASSERT_EQ(steps.stages.size(), 3u);
  EXPECT_EQ(steps.stages[2][2].first, 4);
}

TEST(ReportPublished, OnlyTheSameRecipeIsComparable) {
  EXPECT_EQ(find_published("resnet32x4-resnet8x4", "pcd")->top1, 76.34);
  EXPECT_EQ(find_published("wrn_40_2-resnet8x4", "kd")->top1, 73.97);
  EXPECT_EQ(find_published("vgg13-vgg8", "mlkd")->epochs, 480);
  EXPECT_FALSE(find_published("resnet56-resnet20", "pcd"));
  EXPECT_EQ(published_results().size(), 239u);
  const Published photos = *find_published("resnet34_imagenet-resnet18_imagenet", "dist");
  EXPECT_EQ(photos.top1, 72.07);
  EXPECT_EQ(photos.data(), "imagenet");
  EXPECT_EQ(find_published("resnet50_imagenet-MobileNetV1", "teacher")->epochs, 100);
  EXPECT_EQ(find_published("resnet32x4-resnet8x4", "pcd")->data(), "cifar100");
  MethodSettings method = method_settings("pcd");
  EXPECT_EQ(published_name(method), "pcd");
  method.set("stages", "5");
  EXPECT_EQ(published_name(method), "pcd");
  method.set("ranking", "none");
  EXPECT_EQ(published_name(method), "");
  EXPECT_EQ(find_published("resnet32x4-resnet8x4", "vid")->top1, 73.09);
  EXPECT_EQ(find_published("vgg13-MobileNetV2", "nst")->source, "arXiv:1910.10699");
  MethodSettings vid = method_settings("vid");
  EXPECT_EQ(published_name(vid), "vid");
  vid.set("fixed_variance", "true");
  EXPECT_EQ(published_name(vid), "");
  MethodSettings kd = method_settings("kd");
  kd.set("standardize", "true");
  EXPECT_EQ(published_name(kd), "kd+ls");
  kd.set("temperature", "2");  // values tuned per pair
  EXPECT_EQ(published_name(kd), "kd+ls");
  kd.set("standardize", "false");
  EXPECT_EQ(published_name(kd), "");

  RunSettings settings = default_settings("distill");
  settings.model = "resnet20";
  settings.teacher = "t";
  const Published published = *find_published("resnet56-resnet20", "kd");
  EXPECT_EQ(departs_from_recipe(settings, published), "");
  settings.epochs = 24;
  EXPECT_EQ(departs_from_recipe(settings, published), "24 epochs");
  settings.epochs = 240;
  settings.data.limit = 100;
  EXPECT_EQ(departs_from_recipe(settings, published), "100 training images");
  settings.data.limit = 0;
  settings.optimizer.kind = "dot";
  EXPECT_EQ(departs_from_recipe(settings, published), "another optimizer");
  settings.optimizer.kind = "sgd";
  settings.model = "MobileNetV2";
  EXPECT_EQ(departs_from_recipe(settings, published), "lr 0.05");
}

TEST(Report, ComparesSeedBySeedAndSaysWhatIsMissing) {
  FakeRuns runs;
  const double kd[] = {60, 61, 62}, pcd[] = {62, 63.2, 63.8};
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    runs.add("kd/seed-" + std::to_string(seed), FakeRuns::settings("kd"), "finished", kd[seed - 1] + 1,
             kd[seed - 1], seed);
    if (seed < 3)
      runs.add("pcd/seed-" + std::to_string(seed), FakeRuns::settings("pcd"), "finished", pcd[seed - 1],
               pcd[seed - 1], seed);
  }
  runs.add("ce/seed-2", FakeRuns::settings("ce"), "diverged", 5, 5, 2);
  RunSettings plain = FakeRuns::settings("pcd");
  plain.method.set("ranking", "none");
  runs.add("no <i>ranking & co/seed-1", plain, "finished", 61, 61, 1);
  runs.add("no <i>ranking & co/seed-2", plain, "finished", 61.9, 61.9, 2);
  runs.work().write("s/broken/config.toml", "epochs = \"many\"\n");

  const Report report = report_of(runs);
  ASSERT_EQ(report.data.pairs.size(), 1u);
  const ResultPair& pair = report.data.pairs[0];
  EXPECT_EQ(pair.name, "resnet20-resnet8");
  ASSERT_EQ(pair.rows.size(), 4u);
  EXPECT_EQ(pair.rows[0].label, "ce");
  EXPECT_EQ(pair.rows[2].label, "pcd");
  EXPECT_EQ(pair.rows[2].runs.size(), 3u);
  EXPECT_EQ(pair.rows[2].runs[2].status, "missing");

  const json result = json::parse(report_json(report));
  const json& row = result["pairs"][0]["rows"][2];
  EXPECT_EQ(row["to_kd_last"]["n"], 2);
  EXPECT_NEAR(row["to_kd_last"]["mean"].get<double>(), 2.1, 1e-12);
  EXPECT_EQ(row["to_kd_last"]["verdict"], "better");
  EXPECT_NEAR(row["last"]["mean"].get<double>(), 62.6, 1e-12);
  EXPECT_EQ(result["pairs"][0]["rows"][0]["to_kd_last"], nullptr);
  EXPECT_EQ(result["data"], "cifar100");
  ASSERT_EQ(result["pairs"][0]["ablation"].size(), 1u);
  EXPECT_EQ(result["pairs"][0]["ablation"][0]["question"], "Does ranking the classes help?");
  expect_contains(result["missing"].dump(), "pcd, seed 3: not run yet");
  expect_contains(result["missing"].dump(), "ce, seed 2: diverged, 2 epochs so far");
  expect_contains(result["missing"].dump(), "broken/config.toml");

  const std::string html = report_html(report);
  EXPECT_EQ(flaw_of(html), "");
  EXPECT_EQ(html.find("<i>"), std::string::npos);  // folders give no names
  expect_contains(html, "pcd, ranking none");
  expect_contains(html, "2 of 3 (others not run)");
  expect_contains(html, "Does ranking the classes help?");
  EXPECT_EQ(html.find("/nowhere"), std::string::npos);  // where the data lies stays here
  EXPECT_EQ(html.find("http"), std::string::npos);      // nothing is loaded
  for (const char* part :
       {"pcd | 62.60 ± 0.85", "| better |", "Not complete", "| ce | diverged | diverged |"})
    expect_contains(report_markdown(report), part);
  expect_contains(report_csv(report),
                  "resnet20-resnet8,resnet20,resnet8,pcd,pcd,2,finished,63.2,1,63.2,2,12.0,");
  expect_contains(report_csv(report), "pcd,pcd,3,missing,,,,,,");
}

// Of a metric with a word of its own, without a unit, and the smaller the better.
TEST(Report, TextsAskTheMetricForItsWords) {
  FakeRuns runs;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto add = [&](const RunSettings& settings, const std::string& place, double last) {
      runs.add(text(place, "/seed-", seed), settings, "finished", last, last, seed);
    };
    RunSettings plain = FakeRuns::settings("pcd");
    plain.method.set("ranking", "none");
    const double own = 0.1 * double(seed * seed);
    add(FakeRuns::settings("kd"), "kd", 3 + own);
    add(FakeRuns::settings("pcd"), "pcd", 2 + 1.1 * own);
    add(FakeRuns::settings("dkd"), "dkd", 1.5 + 1.1 * own);
    add(plain, "plain", 4 + 1.1 * own);
  }
  Report report = report_of(runs);
  const Metric error{
      .name = "gap", .column = "gap", .word = "gap", .title = "Gap", .unit = "", .higher_is_better = false};
  for (ResultRow& row : report.data.pairs[0].rows) {
    for (ResultRun& one : row.runs) {
      one.summary.metrics[0] = one.metrics.metrics[0] = error;
      for (auto* result : {&one.summary.best, &one.summary.last}) (*result)->values[0].metric = error;
      for (EpochMetrics& epoch : one.metrics.rows) epoch.tested[0].metric = error;
    }
  }
  const ResultPair& pair = report.data.pairs[0];
  EXPECT_EQ(pair.rows[clear_first(pair)[0]].label, "dkd") << "the smallest is the best";
  const std::string html = report_html(report);
  expect_contains(html, "Against plain KD, gap at the last epoch, 3 seeds");
  expect_contains(html, "Gap on the test images, mean ±");
  expect_contains(html, "Difference to plain KD in gap, last epoch");
  expect_contains(html, "last epoch, gap");
  expect_contains(report_markdown(report), "Gap on the test images, mean ±");
  expect_contains(report_latex(report), "Gap on the test images after the last epoch, mean");
  for (const std::string& all : {html, report_markdown(report), report_latex(report)}) {
    for (const char* words : {"in percent,", "in percent after", "points at", "points over", ", points"})
      EXPECT_EQ(all.find(words), std::string::npos) << words;
  }
}

// Figures show all methods on one scale in their own colours, what is sure first.
TEST(Report, FiguresShowWhatIsSureFirst) {
  FakeRuns runs;
  const double shift[] = {0, 0.4, -0.1};
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto add = [&](const char* method, double last) {
      runs.add(text(method, "/seed-", seed), FakeRuns::settings(method), "finished", last, last, seed);
    };
    const double own = shift[seed - 1];
    add("ce", 50 + 3 * own);
    add("kd", 60 + own);
    add("dkd", 63 + 2 * own);         // better for sure
    add("pcd", 60.2 + 9 * own);       // cannot tell
    add("reviewkd", 62 + 1.5 * own);  // better for sure, but less
  }
  const Report report = report_of(runs);
  const ResultPair& pair = report.data.pairs[0];
  std::vector<std::string> order;
  for (const size_t r : clear_first(pair)) order.push_back(pair.rows[r].label);
  EXPECT_EQ(order, (std::vector<std::string>{"dkd", "reviewkd", "ce", "kd", "pcd"}));
  AxisRange scale;
  add_differences(pair, scale);
  const std::string figure = differences_figure(pair, scale);
  EXPECT_LT(figure.find(">dkd<"), figure.find(">reviewkd<"));
  EXPECT_LT(figure.find(">reviewkd<"), figure.find(">pcd<"));
  const std::vector<int> colours = row_colours(pair);
  for (size_t r = 0; r < pair.rows.size(); ++r) {
    const std::string& label = pair.rows[r].label;
    EXPECT_EQ(label == "kd", colours[r] == 1) << label;
    EXPECT_EQ(label == "pcd", colours[r] == 2) << label;
  }
  // The page's colours are those of every other drawing.
  const std::string style = embedded_style_css;
  for (int c = 0; c < palette_size; ++c) {
    expect_contains(style, text("--c", c, ": ", palette[c].light));
    expect_contains(style, text("--c", c, ": ", palette[c].dark));
  }
}

TEST(Report, PublishedNumbersAreNeverMixedUp) {
  FakeRuns runs;
  RunSettings full = default_settings("distill");
  full.model = "resnet20";
  full.teacher_model = "resnet56";
  full.teacher = "elsewhere/teacher";
  full.data.spec = "cifar100:/nowhere";
  full.method = method_settings("kd");
  RunSettings brief = full;
  brief.epochs = 24;
  brief.method = method_settings("dkd");
  resolve(full);
  resolve(brief);
  runs.add("kd/seed-1", full, "finished", 71, 70.5);
  runs.add("dkd/seed-1", brief, "finished", 60, 60);
  const Report report = report_of(runs);
  const std::string html = report_html(report);
  EXPECT_EQ(flaw_of(html), "");
  expect_contains(
      html, "data-label=\"published\">70.66</td><td class=\"n\" data-label=\"best − published\">+0.34</td>");
  expect_contains(html, "published, 240 epochs");
  expect_contains(html, "here: 24 epochs");
  EXPECT_EQ(html.find("−11.97"), std::string::npos);
  const json rows = json::parse(report_json(report))["pairs"][0]["rows"];
  EXPECT_EQ(rows[0]["published"]["comparable"], true);
  EXPECT_EQ(rows[1]["published"]["comparable"], false);
}

TEST(Report, SeveralPairsShareTheLoneStudent) {
  FakeRuns runs;
  runs.add("ce", FakeRuns::settings("ce"), "finished", 50, 50);
  for (const char* teacher : {"resnet20", "resnet32", "resnet56"}) {
    RunSettings settings = FakeRuns::settings("kd");
    settings.teacher_model = teacher;
    settings.teacher = std::string("elsewhere/") + teacher;
    runs.add(std::string(teacher) + "/kd", settings, "finished", 60, 60);
  }
  const Report report = report_of(runs);
  ASSERT_EQ(report.data.pairs.size(), 3u);
  for (const ResultPair& pair : report.data.pairs) {
    ASSERT_EQ(pair.rows.size(), 2u);
    EXPECT_EQ(pair.rows[0].label, "ce");
  }
  const std::string html = report_html(report);
  EXPECT_EQ(flaw_of(html), "");
  expect_contains(html, "<th scope=\"row\">resnet32-resnet8</th>");
}

TEST(Report, OneSeedHasNoIntervalAndNothingIsNoReport) {
  FakeRuns runs;
  expect_fault(Fault::input, "no such folder", [&] { collect_results({runs.folder()}); });
  runs.work().write("s/letter.txt", "dear");
  expect_fault(Fault::input, "holds no runs", [&] { collect_results({runs.folder()}); });
  runs.add("kd", FakeRuns::settings("kd"), "finished", 60, 60);
  runs.add("other", FakeRuns::settings("pcd"), "finished", 61, 61);
  const std::string html = report_html(report_of(runs));
  EXPECT_EQ(flaw_of(html), "");
  expect_contains(html, "one seed: no interval");
  runs.work().write("s/results.json", "{\"title\": \"t\", \"pairs\": [{\"name\": 3}]}");
  expect_fault(Fault::input, "results.json", [&] { collect_results({runs.folder()}); });
  runs.work().write("s/results.json", "not json");
  EXPECT_EQ(collect_results({runs.folder()}).pairs.size(), 1u);
}

TEST(Report, OfAStudyFromOutside) {
  TempFolder work;
  work.write("tiny.toml", R"(
title = "tiny <study>"
seeds = 2
[settings]
epochs = 1
batch = 32
data.spec = "synthetic:train=96,test=48"
[teacher]
model = "resnet8"
[student]
model = "resnet8"
[[methods]]
name = "kd"
[[methods]]
name = "pcd"
)");
  ASSERT_EQ(run({"compare", "tiny.toml", "--out", "s"}, work).code, 0);
  const Outcome first = run({"report", "s"}, work);
  ASSERT_EQ(first.code, 0) << first.err;
  expect_contains(first.out, "# tiny &lt;study&gt;");
  expect_contains(first.out, "s/report.html");
  const std::string html = content_of(work / "s/report.html");
  EXPECT_EQ(flaw_of(html), "");
  expect_contains(html, "tiny &lt;study&gt;");
  expect_contains(html, "data:image/bmp;base64,");  // drawn images may be shown
  expect_contains(html, "PCD at work");
  expect_contains(html, "n = 24 classes");

  // The second time nothing is computed again, and the page is the same.
  const auto computed = std::filesystem::last_write_time(work / "s/report-cache.json");
  ASSERT_EQ(run({"report", "s", "--json"}, work).code, 0);
  EXPECT_EQ(std::filesystem::last_write_time(work / "s/report-cache.json"), computed);
  EXPECT_EQ(content_of(work / "s/report.html"), html);
  const json result = json::parse(content_of(work / "s/report.json"));
  EXPECT_EQ(result["pairs"][0]["classes"]["teacher_confidence"].size(), 24u);
  EXPECT_EQ(result["pairs"][0]["classes"]["over_kd"]["pcd"]["gain"].size(), 24u);
  EXPECT_EQ(result["pairs"][0]["calibration_error"]["students"]["kd"]["n"], 2);
  EXPECT_GT(result["pairs"][0]["calibration_error"]["teacher"].get<double>(), 0);
  expect_contains(html, "ECE, %");
  const std::string classes = content_of(work / "s/classes.csv");
  expect_contains(classes, "pair,label,seed,class,metric,value\nresnet8-resnet8,teacher resnet8,,");
  EXPECT_EQ(std::count(classes.begin(), classes.end(), '\n'),
            1 + 24 * 5);  // the teacher, and two rows of two
  expect_contains(classes, "resnet8-resnet8,pcd,2,plain disc,top1,");
  expect_contains(html, "what it takes for what");

  // Weights that cannot be read are told.
  work.write("s/report-cache.json", "[1]");
  work.write("s/pcd/seed-2/checkpoints/last.safetensors", "rubbish");
  ASSERT_EQ(run({"report", "s"}, work).code, 0);
  const std::string partial = content_of(work / "s/report.html");
  EXPECT_EQ(flaw_of(partial), "");
  expect_contains(partial, "Not complete");
  expect_contains(partial, "last.safetensors");
  expect_contains(partial, "no cache of this version");

  const Outcome plain = run({"report", "s", "--no-eval", "--out", "page"}, work);
  ASSERT_EQ(plain.code, 0) << plain.err;
  expect_contains(content_of(work / "page/report.html"), "no checkpoint was evaluated");
  failure(2, {"report"}, work);
  failure(3, {"report", "nowhere"}, work);

  // Published: report.json alone gives the page again, curves and classes too, and is left as it is.
  ASSERT_EQ(run({"report", "s", "--out", "page"}, work).code, 0);
  work.write("published/report.json", content_of(work / "page/report.json"));
  const Outcome again = run({"report", "published", "--out", "anew"}, work);
  ASSERT_EQ(again.code, 0) << again.err;
  const json before = json::parse(content_of(work / "page/report.json"));
  const json after = json::parse(content_of(work / "anew/report.json"));
  for (const char* key : {"title", "data"}) EXPECT_EQ(before[key], after[key]) << key;
  ASSERT_EQ(after["pairs"].size(), 1u);
  for (const char* key : {"name", "data_hash", "rows", "ablation"})
    EXPECT_EQ(before["pairs"][0][key], after["pairs"][0][key]) << key;
  const std::string page = content_of(work / "anew/report.html");
  EXPECT_EQ(flaw_of(page), "");
  expect_contains(page, "n = 24 classes");
  expect_contains(page, "class=\"thick\"");
  // Beside the study that it was made of, it is the same runs again.
  const json both =
      json::parse(run({"report", "s", "published", "--out", "both", "--json", "--no-eval"}, work).out);
  ASSERT_EQ(both["pairs"].size(), 1u);
  EXPECT_EQ(both["pairs"][0]["rows"][1]["to_kd_last"], before["pairs"][0]["rows"][1]["to_kd_last"]);
}

}  // namespace
}  // namespace retort
