// `explain`, and what the lesson needs besides it: test images by number,
// temperatures, logits typed by hand. All are held against each other: the loss
// that explain takes apart is the one that `loss` computes of the logits that
// `predict` writes.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "datasets/formats/npy.h"
#include "distill/report/pcd_steps.h"
#include "distill/study/study.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

const std::string tiny = "synthetic:train=96,test=48";

// A teacher "t" and its student "s", by pcd with five stages; made once.
const TempFolder& folder() {
  static const TempFolder work;
  static const bool made = [] {
    EXPECT_EQ(run({"train", "--model", "resnet14", "--data", tiny, "--epochs", "1", "--batch", "32", "--out",
                   "t", "--quiet"},
                  work)
                  .code,
              0);
    const auto outcome =
        run({"distill", "--teacher", "t", "--student", "resnet8", "--method", "pcd", "--set",
             "method.stages=5", "--data", tiny, "--epochs", "1", "--batch", "32", "--out", "s", "--quiet"},
            work);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return true;
  }();
  EXPECT_TRUE(made);
  return work;
}

double loss_of(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"loss", "--json"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const auto outcome = run(all, folder());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return json::parse(outcome.out)["loss"];
}

TEST(Explain, TakesApartTheLossOfTheLogits) {
  const TempFolder& work = folder();
  for (const char* which : {"s", "t"})
    ASSERT_EQ(
        run({"predict", "--weights", which, "--image", "5", "--logits", std::string(which) + ".npy"}, work)
            .code,
        0);
  const auto outcome =
      run({"explain", "--weights", "s", "--image", "5", "--svg", "e.svg", "--html", "e.html"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::smatch total;
  ASSERT_TRUE(std::regex_search(outcome.out, total, std::regex("In\\s+all\\s+([0-9.e+-]+[0-9])")))
      << outcome.out;
  const double expected =
      loss_of({"--method", "pcd", "--set", "stages=5", "--student", "s.npy", "--teacher", "t.npy"});
  EXPECT_NEAR(std::stod(total[1]), expected, 1e-4 * expected);
  expect_contains(outcome.out, "Test image 5 is ");
  expect_contains(outcome.out, "resnet14 (t)");
  // Five stages have 15 groups, whose shares are the whole.
  std::istringstream lines(outcome.out.substr(outcome.out.find("share %")));
  double shares = 0;
  int groups = 0;
  const std::regex row("\\s*\\d+\\s+\\d+\\s+\\d+\\s+[0-9.e-]+\\s+[0-9.e-]+\\s+([0-9.]+)\\s+.*");
  std::smatch cells;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_match(line, cells, row)) ++groups, shares += std::stod(cells[1]);
  EXPECT_EQ(groups, 15) << outcome.out;
  EXPECT_NEAR(shares, 100, 1);
  const std::string svg = content_of(work / "e.svg"), html = content_of(work / "e.html");
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  expect_contains(svg, "prefers-color-scheme: dark");
  expect_contains(svg, "k = 5");
  expect_contains(html, "<h1>PCD at work: Test image 5</h1>");
  expect_contains(html, "data:image/bmp;base64,");
  EXPECT_EQ(html.find("http"), std::string::npos) << "the page needs nothing from elsewhere";
}

TEST(Explain, SettingsOfTheRunOrOfTheCommand) {
  const TempFolder& work = folder();
  const auto groups_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"explain", "--weights", "s", "--image", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const std::string out = run(arguments, work).out;
    return std::count(out.begin() + long(out.find("share %")), out.end(), '\n');
  };
  EXPECT_EQ(groups_of({"--set", "stages=2"}), groups_of({}) - 12);
  // A student of another method: pcd's defaults, and it says so.
  expect_contains(run({"explain", "--weights", "t", "--teacher", "s", "--image", "0"}, work).out,
                  "trained with ce;");
  EXPECT_EQ(failure(2, {"explain", "--weights", "s"}, work).find("no image") == std::string::npos, false);
  expect_contains(failure(2, {"explain", "--image", "1"}, work), "no student is named");
  expect_contains(failure(2, {"explain", "--weights", "t", "--image", "1"}, work), "no teacher is named");
  expect_contains(failure(2, {"explain", "--weights", "s", "--image", "48"}, work), "test images 0 to 47");
  expect_contains(failure(2, {"explain", "--weights", "s", "--image", "0", "--set", "stage=2"}, work),
                  "did you mean 'stages'?");
  expect_contains(failure(2, {"explain", "--weights", "s", "--image", "0", "--set", "stages=25"}, work),
                  "stages");
  expect_contains(failure(3, {"explain", "--weights", "s", "--image", "nowhere.png"}, work), "nowhere.png");
}

// Of two classes: three stages, which nobody asked for, were an internal error.
TEST(Explain, StagesFitTheClasses) {
  const TempFolder work;
  for (const char* part : {"train", "test"})
    for (const char* name : {"a", "b"}) {
      std::filesystem::create_directories(work / part / name);
      std::filesystem::copy_file(data_folder() + "/images/picture.png", work / part / name / "1.png");
    }
  for (const char* net : {"s", "t"}) {
    const auto outcome = run({"train", "--model", "resnet8", "--data", "folder:.", "--epochs", "1", "--set",
                              "data.size=32", "--out", net, "--quiet"},
                             work);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const auto outcome = run({"explain", "--weights", "s", "--teacher", "t", "--image", "0"}, work);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.err, "stages");
}

// KL was infinite where the student's softmax is too small for a double.
TEST(Explain, LogitsFarApartAtASmallTemperature) {
  MethodSettings pcd = method_settings("pcd");
  for (const auto& [key, value] : {std::pair("temperature", "0.001"), {"standardize", "false"}})
    if (pcd.has(key)) pcd.set(key, value);
  const double parts = pcd_steps(pcd, {1, 5, 2, 0.5}, {7, -3, 1, 0}).loss;
  EXPECT_GT(parts, 0);
  const double whole = loss_of({"--method", "pcd", "--set", "temperature=0.001", "--set", "standardize=false",
                                "--teacher", "1 5 2 0.5", "--student", "7 -3 1 0"});
  EXPECT_NEAR(parts / whole, 1, 1e-5);
}

// 3 was said, which is of what files hold.
TEST(TypedLogits, AMissingOptionIsOfUsage) {
  const TempFolder& work = folder();
  const auto refused = [&](const std::string& method, std::vector<std::string> more) {
    std::vector<std::string> all = {"loss", "--method", method, "--student", "1 2 3", "--teacher", "1 2 3"};
    all.insert(all.end(), more.begin(), more.end());
    return failure(2, all, work);
  };
  expect_contains(refused("wkd-l", {"--labels", "0"}), "give it with --similarity");
  expect_contains(refused("dkd", {}), "--labels");
  expect_contains(refused("kd", {"--strong-student", "1 2 3", "--strong-teacher", "1 2 3"}),
                  "reads one view");
}

TEST(Predict, TestImagesByNumberAndTemperature) {
  const TempFolder& work = folder();
  ASSERT_EQ(
      run({"predict", "--weights", "t", "--image", "3", "--image", "7", "--logits", "z.npy"}, work).code, 0);
  const NpyArray array = read_npy(work / "z.npy");
  EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 24}));
  const std::vector<double> logits = array.reals();
  const auto told = json::parse(run({"predict", "--weights", "t", "--image", "3", "--image", "7",
                                     "--temperature", "4", "--top", "24", "--json"},
                                    work)
                                    .out);
  ASSERT_EQ(told["predictions"].size(), 2u);
  EXPECT_EQ(told["predictions"][1]["image"], "test image 7");
  for (size_t i = 0; i < 2; ++i) {
    double sum = 0;
    for (size_t c = 0; c < 24; ++c) sum += std::exp(logits[24 * i + c] / 4);
    for (const json& guess : told["predictions"][i]["top"])
      EXPECT_NEAR(guess["probability"].get<double>(),
                  std::exp(logits[24 * i + guess["class"].get<size_t>()] / 4) / sum, 1e-6);
  }
  expect_contains(failure(2, {"predict", "--weights", "t", "--image", "48"}, work), "numbered from 0 to 47");
  expect_contains(failure(2, {"predict", "--weights", "t", "--image", "0", "x.png"}, work), "not both");
  for (const char* wrong : {"0", "nan", "hot"})
    expect_contains(failure(2, {"predict", "--weights", "t", "--image", "0", "--temperature", wrong}, work),
                    "--temperature is");
}

TEST(TypedLogits, AreAFileOfOneSample) {
  const TempFolder& work = folder();
  write_npy(work / "a.npy", {1, 3}, std::span<const double>(std::vector<double>{3, 2.5, -1}));
  write_npy(work / "b.npy", {1, 3}, std::span<const double>(std::vector<double>{1, 0, 1e-3}));
  const double expected =
      loss_of({"--method", "dkd", "--student", "a.npy", "--teacher", "b.npy", "--labels", "2"});
  EXPECT_EQ(loss_of({"--method", "dkd", "--student", "3 2.5 -1", "--teacher", "1,0,1e-3", "--labels", "2"}),
            expected);
  expect_contains(failure(3, {"loss", "--student", "3 2 1", "--teacher", "1 2"}, work),
                  "expected the same shape");
  expect_contains(failure(3, {"loss", "--student", "3 two", "--teacher", "1 2"}, work), "3 two");
}

TEST(Lesson, ItsStudiesAreStudies) {
  for (const char* name :
       {"lesson-temperature", "lesson-stages", "lesson-untrained", "lesson-normalisation"}) {
    SCOPED_TRACE(name);
    const Study study = read_study(find_study(name));
    EXPECT_GE(study.seeds, 2);
    for (const StudyPair& pair : study.pairs) {
      EXPECT_EQ(pair.student(), "resnet8");
      EXPECT_FALSE(pair.methods.empty());
    }
  }
  EXPECT_EQ(read_study(find_study("lesson-normalisation")).pairs[1].methods[0].settings.teacher_mean,
            "0 0 0");
}

}  // namespace
}  // namespace retort
