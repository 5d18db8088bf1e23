// The published numbers: who prints them, and which runs may be held against them.
#include "distill/report/published.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "distill/methods/registry.h"
#include "distill/settings/recipe_names.h"
#include "distill/settings/setting_keys.h"

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

std::string departures(const std::string& method,
                       const std::vector<std::pair<std::string, std::string>>& keys) {
  RunSettings settings = default_settings("distill");
  settings.model = "resnet20";
  settings.teacher = "t";
  set_key(settings, "method.name", method);
  if (method == "dkd") set_key(settings, "method.beta", "2");  // of this pair
  for (const auto& [key, value] : keys) set_key(settings, key, value);
  return departs_from_recipe(settings, *find_published("resnet56-resnet20", method));
}

// Another value of any key that decides results is no run of the recipe.
TEST(Published, EveryDepartureFromTheRecipeIsNamed) {
  const std::pair<std::vector<std::pair<std::string, std::string>>, const char*> departing[] = {
      {{{"data.views", "81"}}, "81 views"},
      {{{"data.views", "1"}}, "1 view"},
      {{{"init", "/home/someone/pretrained.safetensors"}}, "pretrained weights"},
      {{{"data.shuffle", "false"}}, "images in one order"},
      {{{"optimizer.norm_decay", "false"}}, "no weight decay of norms"},
      {{{"double_batch_norm", "true"}}, "norms' statistics moved twice"},
      {{{"precision", "bf16"}}, "precision bf16"},
      {{{"precision", "fp16"}}, "precision fp16"},
      {{{"teacher_source", "table"}, {"teacher_table.precision", "f16"}}, "teacher's logits stored as f16"},
      {{{"batch", "128"}}, "batch 128"},
      {{{"data.augment", "none"}}, "augment none"},
      {{{"data.mean", "0.5 0.5 0.5"}, {"data.std", "1 1 1"}}, "mean 0.5 0.5 0.5, std 1 1 1"},
      {{{"data.validation", "5000"}}, "5000 images held out"},
      {{{"optimizer.momentum", "0.8"}}, "momentum 0.8"},
      {{{"optimizer.weight_decay", "0.01"}}, "weight_decay 0.01"},
      {{{"optimizer.nesterov", "true"}}, "Nesterov's momentum"},
      {{{"schedule.kind", "cosine"}, {"schedule.milestones", "[]"}}, "a cosine schedule"},
      {{{"schedule.milestones", "100,200"}}, "milestones [100, 200]"},
      {{{"schedule.factor", "0.2"}}, "factor 0.2"},
      {{{"schedule.warmup_steps", "500"}}, "lr warmed up over 500 steps"},
      {{{"schedule.ramp", "20"}}, "lr ramped up over 20 epochs"},
      {{{"shards", "4"}}, "batches in 4 parts"},
      {{{"loss.label_smoothing", "0.1"}}, "smoothed labels"},
      {{{"ema.decay", "0.99"}}, "averaged weights"},
      {{{"method.warmup", "5"}}, "5 epochs of warm-up"},
      {{{"epochs", "24"}, {"schedule.milestones", "15,18,21"}, {"method.warmup", "2"}, {"data.views", "81"}},
       "24 epochs, 81 views"}};
  for (const auto& [keys, words] : departing) EXPECT_EQ(departures("dkd", keys), words);
}

// dkd's beta, LS's temperature and weights are tuned per pair: a default is another setting.
TEST(Published, ConstantsOfThePairCount) {
  EXPECT_EQ(departures("dkd", {{"method.beta", "8"}}), "beta 8");
  EXPECT_EQ(departures("dkd", {{"method.alpha", "2"}}), "alpha 2");
  RunSettings settings = default_settings("distill");
  for (const char* pair : {"resnet110-resnet20", "resnet56-resnet20"}) {
    const Published printed = *find_published(pair, "kd+ls");
    read_settings(recipe_file(text("cifar100/", pair, "/kd-ls")), settings);
    EXPECT_EQ(departs_from_recipe(settings, printed), "") << pair;
    set_key(settings, "method.temperature", "7");
    EXPECT_EQ(departs_from_recipe(settings, printed), "temperature 7") << pair;
  }
  // What every published number is compared with is no departure itself.
  for (const Published& row : published_results()) {
    const std::string name = "cifar100/" + row.pair + "/" + row.method;
    const std::vector<std::string> known = recipe_names();
    if (std::find(known.begin(), known.end(), name) == known.end() || row.method == "mlkd") continue;
    RunSettings recipe = default_settings("distill");
    read_settings(recipe_file(name), recipe);
    EXPECT_EQ(departs_from_recipe(recipe, row), "") << name;
  }
}

// Whatever rate and milestones a run of mlkd had, it was held against the published number.
TEST(Published, MlkdHasAScheduleOfItsOwn) {
  const Published printed = *find_published("resnet56-resnet20", "mlkd");
  RunSettings recipe = default_settings("distill");
  read_settings(recipe_file("cifar100/resnet56-resnet20/mlkd-two-views"), recipe);
  EXPECT_EQ(departs_from_recipe(recipe, printed), "");
  const auto departures = [&](const char* key, const char* value) {
    RunSettings settings = recipe;
    set_key(settings, key, value);
    return departs_from_recipe(settings, printed);
  };
  EXPECT_EQ(departures("optimizer.lr", "0.05"), "lr 0.05");
  EXPECT_EQ(departures("schedule.factor", "0.2"), "factor 0.2");
  EXPECT_EQ(departures("schedule.milestones", "300,360,420"), "milestones [300, 360, 420]");
}

// What rounds 32 bits otherwise, how the teacher sees images, and what a CIFAR-100 run does not read.
TEST(Published, WhatChangesNoRecipeIsNoDeparture) {
  EXPECT_EQ(departures("dkd", {}), "");
  for (const char* device : {"portable", "onednn", "cuda"}) {
    for (const char* precision : {"auto", "fp32", "tf32"})
      EXPECT_EQ(departures("dkd", {{"device", device},
                                   {"precision", precision},
                                   {"tune", "true"},
                                   {"teacher_source", "table"},
                                   {"teacher_mean", "0.5 0.5 0.5"},
                                   {"teacher_std", "1 1 1"},
                                   {"schedule.milestones", "150,180,210"},
                                   {"schedule.ramp", "1"},
                                   {"data.augment", "crop-flip"},
                                   {"data.mean", "0.5071 0.4867 0.4408"},
                                   {"data.std", "0.2675 0.2565 0.2761"},
                                   {"data.decoder", "turbo"},
                                   {"data.workers", "8"},
                                   {"optimizer.delta", "0.1"},
                                   {"shards", "1"}}),
                "");
  }
  EXPECT_EQ(departures("dkd", {{"teacher_source", "live"}, {"teacher_table.precision", "f16"}}), "");
}

}  // namespace
}  // namespace retort
