// Every recipe loads, and those of the paper say what the paper's setting is.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "distill/setting_keys.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

const fs::path recipes = RETORT_RECIPES;

std::vector<fs::path> recipe_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(recipes)) {
    const bool study = entry.path().parent_path().filename() == "studies";
    if (entry.path().extension() == ".toml" && !study) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

RunSettings distillation(const std::string& pair, const std::string& method) {
  RunSettings settings = default_settings("distill");
  read_settings(recipes / "cifar100" / pair / (method + ".toml"), settings);
  return settings;
}

TEST(Recipes, EveryFileLoads) {
  ASSERT_GE(recipe_files().size(), 28u);
  for (const fs::path& file : recipe_files()) {
    SCOPED_TRACE(file.string());
    const bool teacher = file.parent_path().filename() == "teachers";
    RunSettings settings = default_settings(teacher ? "train" : "distill");
    ASSERT_NO_THROW(read_settings(file, settings));
    if (file.filename() == "base.toml") continue;
    if (settings.method.method().reads.teacher) settings.teacher = "given on the command line";
    const std::vector<std::string> notes = resolve(settings);
    EXPECT_TRUE(notes.empty()) << notes.front();
  }
}

TEST(Recipes, PairsNameTheirNetworks) {
  for (const auto& [teacher, student] :
       {std::pair("resnet56", "resnet20"), std::pair("resnet110", "resnet32"),
        std::pair("resnet110", "resnet20"), std::pair("resnet32x4", "resnet8x4")}) {
    for (const char* method : {"ce", "kd", "dkd", "dist", "pcd", "pcd-released"}) {
      const RunSettings settings = distillation(std::string(teacher) + "-" + student, method);
      EXPECT_EQ(settings.model, student);
      EXPECT_EQ(settings.method.method().name, method);
      EXPECT_EQ(settings.epochs, 240);
      EXPECT_EQ(settings.batch, 64);
      EXPECT_EQ(settings.optimizer.lr, 0.05);
      EXPECT_EQ(settings.optimizer.weight_decay, 5e-4);
    }
  }
}

TEST(Recipes, PerPairValues) {
  EXPECT_EQ(distillation("resnet56-resnet20", "dkd").method.number("beta"), 2);
  EXPECT_EQ(distillation("resnet110-resnet32", "dkd").method.number("beta"), 2);
  EXPECT_EQ(distillation("resnet110-resnet20", "dkd").method.number("beta"), 2);
  EXPECT_EQ(distillation("resnet32x4-resnet8x4", "dkd").method.number("beta"), 8);
  EXPECT_EQ(distillation("resnet32x4-resnet8x4", "pcd").method.integer("stages"), 3);
}

}  // namespace
}  // namespace retort
