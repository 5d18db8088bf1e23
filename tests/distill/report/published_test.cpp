// The published numbers: who prints them, and which runs may be held against them.
#include "distill/report/published.h"

#include <gtest/gtest.h>

#include "distill/methods/registry.h"

namespace retort {
namespace {

std::string source_of(const std::string& pair, const std::string& method) {
  const auto row = find_published(pair, method);
  EXPECT_TRUE(row) << pair << " " << method;
  return row ? row->source : "";
}

// A release without a config of a pair is not the source of its numbers.
TEST(Published, IsCreditedToWhoPrintsIt) {
  const std::string printed = "as printed by arXiv:2403.01427";
  for (const std::string pair : {"resnet110-resnet20", "resnet32x4-wrn_16_2", "resnet32x4-wrn_40_2",
                                 "wrn_40_2-MobileNetV2", "wrn_40_2-resnet8x4"}) {
    EXPECT_EQ(source_of(pair, "dkd"), printed) << pair;
    for (const std::string method : {"teacher", "ce"})
      EXPECT_EQ(source_of(pair, method), "arXiv:1910.10699") << pair << " " << method;
    EXPECT_NE(source_of(pair, "kd"), "arXiv:2203.08679") << pair;
  }
  for (const Published& row : published_results()) {
    if (row.method != "mlkd") continue;
    EXPECT_EQ(row.source, printed) << row.pair;  // whose files train so many epochs
    EXPECT_EQ(row.epochs, row.pair == "resnet32x4-ShuffleV2" ? 960 : 480) << row.pair;
  }
  EXPECT_EQ(source_of("resnet32x4-resnet8x4", "dkd"), "arXiv:2203.08679");
  EXPECT_EQ(source_of("resnet32x4-resnet8x4", "dist"), "arXiv:2205.10536");
}

TEST(Published, ShuffleV1sPairs) {
  EXPECT_EQ(find_published("resnet32x4-ShuffleV1", "dkd")->top1, 76.45);
  EXPECT_EQ(find_published("wrn_40_2-ShuffleV1", "kd")->top1, 74.83);
  EXPECT_EQ(find_published("wrn_40_2-ShuffleV1", "crd")->top1, 76.05);
  EXPECT_EQ(find_published("resnet32x4-ShuffleV1", "ce")->top1, 70.50);
}

// 1 in the authors' file, the other temperature in their command: the table was made with one of them.
TEST(Published, RldWithEitherTemperatureOfItsAuthors) {
  MethodSettings rld = method_settings("rld");
  EXPECT_EQ(published_name(rld), "rld");
  rld.set("temperature_a", "4");
  EXPECT_EQ(published_name(rld), "rld");
  rld.set("temperature_a", "2");
  EXPECT_EQ(published_name(rld), "");
  rld.set("temperature", "2");
  EXPECT_EQ(published_name(rld), "");
}

}  // namespace
}  // namespace retort
