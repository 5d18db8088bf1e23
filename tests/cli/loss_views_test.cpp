// `retort loss` of methods that read two views: the gradient of each.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "datasets/formats/npy.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

class LossViews : public ::testing::Test {
 protected:
  LossViews() {
    const std::vector<double> t = {2, .5, -1, 0, 1, -.5, 0, 3, -2, 1, -1, .5};
    const std::vector<double> s = {1, 1, -.5, .2, .3, -1, .5, 1.5, -1, 1.2, -.2, 0};
    const std::vector<double> t2 = {1.5, 0, -.5, .5, .5, -1, .5, 2, -1.5, 1.5, -.5, 0};
    const std::vector<double> s2 = {.8, .6, -.2, .1, .4, -.7, .3, 1, -.8, .9, 0, -.1};
    write_npy(work_ / "zt.npy", {2, 6}, std::span(t));
    write_npy(work_ / "zs.npy", {2, 6}, std::span(s));
    write_npy(work_ / "zt2.npy", {2, 6}, std::span(t2));
    write_npy(work_ / "zs2.npy", {2, 6}, std::span(s2));
    const std::vector<float> narrow(s2.begin(), s2.end());
    write_npy(work_ / "zs2f.npy", {2, 6}, std::span(narrow));
  }

  std::vector<std::string> command(const std::string& strong, std::vector<std::string> more) const {
    std::vector<std::string> all = {"loss", "--method", "crld", "--student", "zs.npy", "--teacher", "zt.npy"};
    if (!strong.empty()) all.insert(all.end(), {"--strong-student", strong, "--strong-teacher", "zt2.npy"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  double sum_of(const std::string& file) const {
    const NpyArray array = read_npy(work_ / file);
    EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 6}));
    double sum = 0;
    for (const double value : array.reals()) sum += std::abs(value);
    return sum;
  }

  TempFolder work_;
};

// Reference values of both (shared by no other test): crld with thresholds .9 and .2.
TEST_F(LossViews, WritesTheGradientOfEachView) {
  const Outcome both =
      run(command("zs2.npy", {"--grad", "weak.npy", "--strong-grad", "strong.npy", "--json"}), work_);
  ASSERT_EQ(both.code, 0) << both.err;
  EXPECT_NEAR(double(json::parse(both.out)["loss"]), 0.2560035929, 1e-10);
  EXPECT_NEAR(sum_of("weak.npy"), 0.1631776156, 1e-10);
  EXPECT_NEAR(sum_of("strong.npy"), 0.3681154142, 1e-10);
  // In the type of the logits that it is of.
  ASSERT_EQ(run(command("zs2f.npy", {"--strong-grad", "f.npy"}), work_).code, 0);
  EXPECT_EQ(read_npy(work_ / "f.npy").type, DType::f32);
  EXPECT_NEAR(sum_of("f.npy"), 0.3681154142, 1e-6);
}

TEST_F(LossViews, ItsHelpSaysWhichViewAGradientIsOf) {
  const std::string help = run({"loss", "--help"}, work_).out;
  expect_contains(help, "--strong-grad FILE");
  expect_contains(help, "of two views");
}

TEST_F(LossViews, RefusesWhatCannotBeWritten) {
  const std::string none =
      failure(2, {"loss", "--student", "zs.npy", "--teacher", "zt.npy", "--strong-grad", "g.npy"}, work_);
  expect_contains(none, "--strong-student");
  expect_contains(failure(2, command("zs2.npy", {"--strong-grad", "zs2.npy"}), work_), "name another file");
  expect_contains(failure(2, command("zs2.npy", {"--grad", "g.npy", "--strong-grad", "g.npy"}), work_),
                  "expected two files");
}

}  // namespace
}  // namespace retort
