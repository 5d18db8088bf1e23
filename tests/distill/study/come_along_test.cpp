// The studies that come along: what they promise is in them, and each of their runs can be trained.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "distill/methods/registry.h"
#include "distill/study/study.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::run;
using testing::TempFolder;

// One seed of one epoch on a little data; how each row ended.
std::map<std::string, std::string> statuses(std::vector<std::string> command, const TempFolder& work) {
  for (const char* more : {"--epochs", "1", "--seeds", "1", "--out", "s", "--json"}) command.push_back(more);
  const testing::Outcome outcome = run(command, work);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  std::map<std::string, std::string> all;
  for (const json& row : result["pairs"][0]["rows"])
    all[row["label"].get<std::string>()] = row["runs"][0]["status"].get<std::string>();
  return all;
}

TEST(StudiesThatComeAlong, RivalsAreAllMethods) {
  const Study study = read_study(find_study("rivals"));
  EXPECT_EQ(study.seeds, 3);
  ASSERT_EQ(study.pairs.size(), 1u);
  EXPECT_EQ(study.pairs[0].teacher.model, "resnet20");
  EXPECT_EQ(study.pairs[0].student(), "resnet8");
  std::map<std::string, int> named;
  for (const StudyMethod& method : study.pairs[0].methods) {
    ++named[method.settings.method.method().name];
    EXPECT_EQ(method.settings.epochs, 24) << method.label;
  }
  EXPECT_EQ(named.size(), methods().size());
  for (const MethodInfo& method : methods()) EXPECT_EQ(named[method.name], 1) << method.name;
}

TEST(StudiesThatComeAlong, RivalsTrain) {
  const TempFolder work;
  const auto ended =
      statuses({"compare", "rivals", "--data", "synthetic:train=64,test=20", "--set", "batch=32"}, work);
  EXPECT_EQ(ended.size(), methods().size());
  for (const auto& [label, status] : ended) EXPECT_EQ(status, "finished") << label;
}

TEST(StudiesThatComeAlong, PcdOnBoxesIsTakenApart) {
  const Study study = read_study(find_study("detection-ablation"));
  EXPECT_EQ(study.seeds, 5);
  std::map<std::string, const RunSettings*> rows;
  for (const StudyMethod& method : study.pairs.at(0).methods) rows[method.label] = &method.settings;
  ASSERT_EQ(rows.size(), 7u);
  for (const char* label :
       {"ce", "kd", "pcd", "pcd, without background", "pcd, objects only", "pcd, 5 stages", "pcd-released"})
    ASSERT_TRUE(rows.contains(label)) << label;
  EXPECT_TRUE(rows["pcd"]->method_boxes.background);
  EXPECT_FALSE(rows["pcd"]->method_boxes.positives);
  EXPECT_EQ(rows["pcd"]->method.integer("stages"), 3);
  EXPECT_FALSE(rows["pcd, without background"]->method_boxes.background);
  EXPECT_TRUE(rows["pcd, objects only"]->method_boxes.positives);
  EXPECT_EQ(rows["pcd, 5 stages"]->method.integer("stages"), 5);
}

TEST(StudiesThatComeAlong, PcdOnBoxesTakenApartTrains) {
  const TempFolder work;
  const auto ended = statuses({"compare", "detection-ablation", "--data", "scenes:train=8,test=2"}, work);
  EXPECT_EQ(ended.size(), 7u);
  for (const auto& [label, status] : ended) EXPECT_EQ(status, "finished") << label;
}

}  // namespace
}  // namespace retort
