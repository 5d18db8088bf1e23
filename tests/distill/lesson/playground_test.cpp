// The playground: its page is the one that is committed, its kernels are compiled from the sources as they
// are, and in a real browser it shows what `loss` and `predict` print.
#include "distill/lesson/playground.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "datasets/formats/npy.h"
#include "distill/methods/method_settings.h"
#include "distill/methods/registry.h"
#include "distill/report/pcd_steps.h"
#include "engine/base/process.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::content_of;
using testing::expect_contains;
using testing::failure;
using testing::run;
using testing::TempFolder;
using Numbers = std::vector<double>;

const fs::path sources = fs::path(testing::recipes_folder()).parent_path() / "lesson";

TEST(Playground, PageIsTheOneThatIsCommitted) {
  const TempFolder work;
  const auto outcome = run({"lesson", "--out", "p.html"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::string page = content_of(work / "p.html");
  EXPECT_EQ(page, playground_page());
  // With its style, the report's: whoever changes that writes the page anew.
  EXPECT_TRUE(page == content_of(sources / "playground/playground.html"))
      << "write it anew: retort lesson --out distill/lesson/playground/playground.html";
  // Nothing is fetched; the name of SVG is no address.
  const std::string svg = "http://www.w3.org/2000/svg";
  page.erase(page.find(svg), svg.size());
  for (const char* outside : {"http:", "https:", "src=\"", "href=", "@import", "url(", "{{"})
    EXPECT_EQ(page.find(outside), page.npos) << outside;
}

TEST(Playground, NamesWhatIsMissing) {
  const TempFolder work;
  expect_contains(failure(2, {"lesson"}, work), "no file is named; give it with --out");
  expect_contains(failure(4, {"lesson", "--out", "nowhere/p.html"}, work), "nowhere/p.html");
}

// The first line that a program writes; empty where it is not there.
std::string first_line(const std::vector<std::string>& command) {
  try {
    const std::string output = run_process(command, true, "a test").output;
    return output.substr(0, output.find('\n'));
  } catch (const Error&) {
    return "";
  }
}

TEST(Playground, KernelsAreCompiledFromTheSources) {
  const std::string compiler = first_line({"em++", "--version"});
  // Another version may write other bytes.
  if (compiler.find(" 3.1.6 ") == compiler.npos)
    GTEST_SKIP() << "em++ 3.1.6 is not here, with which playground.wasm was made; there is '" << compiler
                 << "'";
  const TempFolder work;
  const std::string built = (work / "built.wasm").string();
  ASSERT_EQ(run_process({(sources / "playground/build.sh").string(), built}, false, "a test").status, 0);
  EXPECT_TRUE(content_of(built) == content_of(sources / "playground/playground.wasm"))
      << "compile it anew: distill/lesson/playground/build.sh, then retort lesson --out "
         "distill/lesson/playground/playground.html";
}

struct Case {
  Numbers teacher, student;
  int label, stages;
  double temperature, alpha, beta;
};

std::string list(const Numbers& numbers, const char* between) {
  std::ostringstream all;
  all.precision(17);
  for (size_t i = 0; i < numbers.size(); ++i) all << (i ? between : "") << numbers[i];
  return all.str();
}

class Browser : public ::testing::Test {
 protected:
  void SetUp() override {
    if (first_line({"chromium", "--version"}).empty()) GTEST_SKIP() << "there is no chromium here";
    write_file_of_page();
  }
  void write_file_of_page() { ASSERT_EQ(run({"lesson", "--out", "p.html"}, work_).code, 0); }

  // What stands in an element when the page with this address has done its work.
  json shown(const std::string& fragment, const std::string& element) {
    const std::string dom =
        run_process({"timeout", "120", "chromium", "--headless", "--no-sandbox", "--disable-gpu",
                     "--disable-dev-shm-usage", "--log-level=3",
                     "--user-data-dir=" + (work_ / "home").string(), "--virtual-time-budget=10000",
                     "--dump-dom", "file://" + (work_ / "p.html").string() + "#" + fragment},
                    true, "a test")
            .output;
    const std::string open = "id=\"" + element + "\">";
    const size_t from = dom.find(open);
    EXPECT_NE(from, dom.npos) << dom.substr(0, 2000);
    if (from == dom.npos) return {};
    const size_t begin = from + open.size();
    return json::parse(dom.substr(begin, dom.find('<', begin) - begin), nullptr, false);
  }

  // Loss and gradient as the program prints and writes them.
  std::pair<double, Numbers> expected(const std::string& method, const Case& c, const Numbers& student) {
    const auto set = [](const char* key, double value) { return std::string(key) + "=" + list({value}, ""); };
    std::vector<std::string> words = {"loss",      "--json",
                                      "--method",  method,
                                      "--set",     set("temperature", c.temperature),
                                      "--set",     set("alpha", c.alpha),
                                      "--teacher", list(c.teacher, " "),
                                      "--student", list(student, " "),
                                      "--grad",    "g.npy"};
    if (method == "dkd")
      words.insert(words.end(), {"--set", set("beta", c.beta), "--labels", std::to_string(c.label)});
    if (method == "pcd") words.insert(words.end(), {"--set", "stages=" + std::to_string(c.stages)});
    const auto outcome = run(words, work_);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return {json::parse(outcome.out)["loss"], read_npy(work_ / "g.npy").reals()};
  }

  const TempFolder work_;
};

void expect_near(const Numbers& found, const Numbers& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-6 * std::max(1.0, std::abs(expected[i]))) << i;
}

using PlaygroundInABrowser = Browser;

TEST_F(PlaygroundInABrowser, ShowsWhatLossPrints) {
  const std::vector<Case> cases = {{{6, 4, 1, 0, -1}, {3, 2, 2, 0, 1}, 0, 3, 4, 1, 8},
                                   // Gaps that tie, a single class in a group, logits that leave the chart.
                                   {{1.5, -2, 0.25, 40, 3, -1, 2, 0, 0, 5.5, -7, 1},
                                    {0.5, -1, 1.25, 38, 2, 0, 2, 0, -3, 5, 7, 1},
                                    10,
                                    12,
                                    1.5,
                                    0.7,
                                    2.5},
                                   {{6, 4, 1}, {6.01, 3.995, 1.005}, 2, 1, 2, 2, 0}};
  for (const Case& c : cases) {
    const double rate = 0.05;
    const json page =
        shown("names=a,b%3Cc&teacher=" + list(c.teacher, ",") + "&student=" + list(c.student, ",") +
                  "&label=" + std::to_string(c.label) + "&tau=" + list({c.temperature}, "") +
                  "&stages=" + std::to_string(c.stages) + "&alpha=" + list({c.alpha}, "") +
                  "&beta=" + list({c.beta}, "") + "&rate=" + list({rate}, "") + "&steps=3",
              "numbers");
    ASSERT_TRUE(page.contains("steps")) << page.dump();
    expect_near(page["teacher"], c.teacher);
    for (const std::string method : {"kd", "dkd", "pcd"}) {
      SCOPED_TRACE(method + ", teacher " + list(c.teacher, " "));
      const auto [loss, gradient] = expected(method, c, c.student);
      expect_near({page[method]["loss"].get<double>()}, {loss});
      expect_near(page[method]["gradient"], gradient);
      // Three steps against the gradient, each from where the one before led.
      Numbers student = c.student;
      ASSERT_EQ(page["steps"][method].size(), 4u);
      for (const json& at : page["steps"][method]) {
        expect_near(at["student"], student);
        const auto [here, slope] = expected(method, c, student);
        expect_near({at["loss"].get<double>()}, {here});
        for (size_t i = 0; i < student.size(); ++i) student[i] -= rate * slope[i];
      }
    }
    MethodSettings settings = method_settings("pcd");
    settings.set("temperature", list({c.temperature}, ""));
    settings.set("stages", std::to_string(c.stages));
    const PcdSteps steps = pcd_steps(settings, c.teacher, c.student);
    EXPECT_EQ(page["order"].get<std::vector<int32_t>>(), steps.order);
    ASSERT_EQ(page["groups"].size(), steps.stages.size());
    for (size_t k = 0; k < steps.stages.size(); ++k) {
      for (size_t g = 0; g <= k; ++g) {
        SCOPED_TRACE(k * 100 + g);
        const PcdGroup& group = steps.stages[k][g];
        expect_near({page["groups"][k][g]["kl"].get<double>()}, {group.kl});
        if (group.kl > 1e-9) expect_near({page["groups"][k][g]["lambda"].get<double>()}, {group.lambda});
      }
    }
  }
}

// What the lesson's fourth exercise says.
TEST_F(PlaygroundInABrowser, StepsOfTheLesson) {
  const auto after_ten = [&](const std::string& rate) {
    const json page = shown(
        "teacher=6,4,1,0,-1&student=6.2,3.9,1.1,-0.2,-1&tau=1&stages=2&steps=10&rate=" + rate, "numbers");
    std::map<std::string, std::pair<double, double>> losses;
    for (const std::string method : {"kd", "dkd", "pcd"})
      losses[method] = {page["steps"][method][0]["loss"], page["steps"][method][10]["loss"]};
    return losses;
  };
  auto losses = after_ten("0.5");
  EXPECT_NEAR(losses["kd"].first, 4.49e-3, 1e-5);
  EXPECT_NEAR(losses["kd"].second, 6.60e-4, 1e-6);
  EXPECT_NEAR(losses["pcd"].first, 5.50e-6, 1e-8);
  EXPECT_NEAR(losses["pcd"].second, 5.46e-6, 1e-8);
  losses = after_ten("5");
  EXPECT_NEAR(losses["dkd"].first, 1.29e-2, 1e-4);
  EXPECT_NEAR(losses["dkd"].second, 0.540, 1e-3);
}

TEST_F(PlaygroundInABrowser, StudentSaysWhatPredictPrints) {
  const json page = shown("figure=20&seed=7&tab=draw", "seen");
  ASSERT_TRUE(page.contains("pixels")) << page.dump();
  const auto pixels = page["pixels"].get<Numbers>();
  ASSERT_EQ(pixels.size(), 32u * 32 * 3);
  std::vector<float> image;
  const float mean[] = {.3678f, .3661f, .3668f},
              deviation[] = {.2073f, .2078f, .2068f};  // of the drawn images
  for (size_t i = 0; i < pixels.size(); ++i)
    image.push_back((float(pixels[i]) / 255 - mean[i % 3]) / deviation[i % 3]);
  write_npy(work_ / "x.npy", {1, 32, 32, 3}, std::span<const float>(image));
  const auto outcome = run({"predict", "--weights", (sources / "playground/student.retort").string(), "x.npy",
                            "--logits", "y.npy"},
                           work_);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Numbers logits = read_npy(work_ / "y.npy").reals(), shown_logits = page["logits"];
  ASSERT_EQ(shown_logits.size(), 24u);
  for (size_t i = 0; i < logits.size(); ++i) EXPECT_NEAR(shown_logits[i], logits[i], 1e-4);
}

}  // namespace
}  // namespace retort
