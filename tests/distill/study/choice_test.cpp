// A part of a study: --only and --methods.
#include "distill/study/choice.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "distill/run/run_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

const std::string two_pairs = R"(
[settings]
threads = 1
epochs = 1
batch = 32
data.spec = "synthetic:train=96,test=48"
[[pairs]]
teacher = "resnet14"
student = "resnet8"
[[pairs]]
name = "self"
teacher = "resnet8"
student = "resnet8"
settings.optimizer.momentum = 0.8
[[methods]]
name = "ce"
[[methods]]
name = "kd"
[[methods]]
name = "kd"
label = "kd, tau 1"
temperature = 1
)";

struct Chosen {
  std::vector<std::string> pairs, methods;
};

Chosen chosen(const std::string& toml, const std::vector<std::string>& only,
              const std::vector<std::string>& methods) {
  TempFolder folder;
  Study study = read_study(folder.write("s.toml", toml));
  choose(study, only, methods);
  Chosen names;
  for (const StudyPair& pair : study.pairs)
    if (pair.chosen) names.pairs.push_back(pair.name);
  for (const StudyMethod& method : study.pairs.front().methods)
    if (method.chosen) names.methods.push_back(method.label);
  return names;
}

using Names = std::vector<std::string>;

TEST(Choice, IsByName) {
  EXPECT_EQ(chosen(two_pairs, {}, {}).pairs.size(), 2u);
  EXPECT_EQ(chosen(two_pairs, {}, {}).methods.size(), 3u);
  EXPECT_EQ(chosen(two_pairs, {"self"}, {}).pairs, Names{"self"});
  EXPECT_EQ(chosen(two_pairs, {}, {"kd"}).methods, Names{"kd"});
  EXPECT_EQ(chosen(two_pairs, {}, {"ce,kd"}).methods, (Names{"ce", "kd"}));
  // Labels may have commas.
  EXPECT_EQ(chosen(two_pairs, {}, {"kd, tau 1"}).methods, Names{"kd, tau 1"});
  EXPECT_EQ(chosen(two_pairs, {}, {"ce,kd, tau 1"}).methods, (Names{"ce", "kd, tau 1"}));
  EXPECT_EQ(chosen(two_pairs, {}, {"kd, tau 1, kd", "ce"}).methods.size(), 3u);

  const std::string variants = two_pairs +
                               "[[variants]]\nlabel = \"low\"\noptimizer.lr = 0.01\n"
                               "[[variants]]\nlabel = \"high\"\n";
  EXPECT_EQ(chosen(variants, {"self"}, {}).pairs, (Names{"self, low", "self, high"}));
  EXPECT_EQ(chosen(variants, {"self, high"}, {}).pairs, Names{"self, high"});
}

TEST(Choice, OfWhatIsNotThereIsRefusedWithTheNearest) {
  expect_fault(Fault::usage, "did you mean 'self'?", [] { chosen(two_pairs, {"sefl"}, {}); });
  expect_fault(Fault::usage, "did you mean 'kd, tau 1'?", [] { chosen(two_pairs, {}, {"kd tau 1"}); });
  expect_fault(Fault::usage, "--methods kd2", [] { chosen(two_pairs, {}, {"ce,kd2"}); });
  expect_fault(Fault::usage, "no such method", [] { chosen(two_pairs, {}, {"ce,"}); });
  TempFolder work;
  work.write("two.toml", two_pairs);
  expect_contains(failure(2, {"compare", "two.toml", "--only", "resnet14-resnet9"}, work),
                  "did you mean 'resnet14-resnet8'?");
  expect_contains(failure(2, {"compare", "two.toml", "--task", "1", "--methods", "ce"}, work), "--task");
}

TEST(Choice, TheRestIsNotRunAndTheTablesSaySo) {
  TempFolder work;
  work.write("two.toml", two_pairs);
  std::vector<std::string> part = {"compare", "two.toml", "--out",     "s",
                                   "--only",  "self",     "--methods", "ce,kd"};
  const Outcome first = run(part, work);
  ASSERT_EQ(first.code, 0) << first.err;
  expect_contains(first.err, "3 of 3: self, kd");
  expect_contains(first.out, "Left out by choice: pair resnet14-resnet8, method kd, tau 1");
  EXPECT_EQ(first.out.find("missing"), std::string::npos) << first.out;
  expect_contains(content_of(work / "s/results.md"), "Left out by choice");
  for (const char* folder : {"teachers/resnet14", "resnet14-resnet8", "self/kd, tau 1", "students"})
    EXPECT_FALSE(std::filesystem::exists(work / "s" / folder)) << folder;
  const auto results = [&] { return json::parse(content_of(work / "s/results.json")); };
  ASSERT_EQ(results()["pairs"].size(), 1u);
  EXPECT_EQ(results()["pairs"][0]["rows"].size(), 2u);
  EXPECT_EQ(results()["not_chosen"], json({"pair resnet14-resnet8", "method kd, tau 1"}));

  // In the places where the whole study has them, so that it goes on from there.
  const auto hash = results()["pairs"][0]["rows"][0]["runs"][0]["weights_hash"].get<std::string>();
  EXPECT_TRUE(RunFolder::is_run(work / "s/self/ce/seed-1"));
  const Outcome whole = run({"compare", "two.toml", "--out", "s"}, work);
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.out.find("Left out"), std::string::npos);
  EXPECT_EQ(results()["pairs"][1]["rows"][0]["runs"][0]["weights_hash"].get<std::string>(), hash);
  EXPECT_EQ(results()["pairs"][0]["rows"].size(), 3u);

  // What is there of the rest stands, chosen or not.
  const Outcome again = run(part, work);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(results()["pairs"].size(), 2u);
  EXPECT_EQ(results()["pairs"][0]["rows"][2]["runs"][0]["status"], "finished");
  expect_contains(again.out, "kd, tau 1");

  // A seed more is wanted of what is chosen alone.
  part.insert(part.end(), {"--seeds", "2"});
  const Outcome seeds = run(part, work);
  ASSERT_EQ(seeds.code, 0) << seeds.err;
  EXPECT_EQ(results()["pairs"][1]["rows"][1]["runs"][1]["status"], "finished");
  EXPECT_EQ(results()["pairs"][1]["rows"][2]["runs"][1]["status"], "left out");
  EXPECT_FALSE(std::filesystem::exists(work / "s/self/kd, tau 1/seed-2"));
  EXPECT_EQ(seeds.out.find("missing"), std::string::npos) << seeds.out;
}

}  // namespace
}  // namespace retort
