#include "distill/settings/recipe_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "distill/settings/setting_keys.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using testing::TempFolder;

// Works in another folder for as long as it lives.
class WorkIn {
 public:
  explicit WorkIn(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  ~WorkIn() { fs::current_path(before_); }
  WorkIn(const WorkIn&) = delete;
  WorkIn& operator=(const WorkIn&) = delete;

 private:
  fs::path before_;
};

TEST(RecipeFiles, TheProgramCarriesEveryFile) {
  const fs::path folder = testing::recipes_folder();
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const std::string name = fs::relative(entry.path(), folder).generic_string();
    const CarriedRecipe* found = nullptr;
    for (const CarriedRecipe& recipe : carried_recipes())
      if (recipe.name == name) found = &recipe;
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(std::string(found->text), testing::content_of(entry.path())) << name;
  }
  EXPECT_EQ(files, carried_recipes().size());
}

TEST(RecipeFiles, CarriedOnesMeanTheSameAsThoseOnTheDisk) {
  const TempFolder empty;
  const WorkIn elsewhere(empty.path());
  for (const std::string name :
       {"cifar100/resnet32x4-resnet8x4/dkd.toml", "cifar100/vgg13-vgg8/reviewkd.toml",
        "cifar100/teachers/resnet56.toml", "cifar100/resnet56-resnet20.toml"}) {
    RunSettings disk = default_settings("distill");
    read_settings(fs::path(testing::recipes_folder()) / name, disk);
    for (const std::string root : {"recipes:/", "distill/recipes/", ""}) {
      RunSettings carried = default_settings("distill");
      read_settings(root + name, carried);
      EXPECT_EQ(settings_toml(carried), settings_toml(disk)) << root << name;
    }
  }
}

TEST(RecipeFiles, AFileOfThatNameComesFirst) {
  const TempFolder folder;
  const WorkIn there(folder.path());
  const std::string pair = "cifar100/resnet56-resnet20.toml";
  const auto epochs_of = [](const std::string& name) {
    RunSettings settings = default_settings("distill");
    read_settings(name, settings);
    return settings.epochs;
  };
  ASSERT_EQ(epochs_of("cifar100/resnet56-resnet20/pcd.toml"), 240);
  fs::create_directory(folder / "cifar100");
  folder.write(pair, "model = \"resnet20\"\nteacher_model = \"resnet56\"\nepochs = 7\n");
  EXPECT_EQ(epochs_of(pair), 7);
  EXPECT_EQ(epochs_of("cifar100/resnet56-resnet20/pcd.toml"), 7);  // of the file, and the carried method
  EXPECT_EQ(epochs_of("recipes:/" + pair), 240);
  const std::vector<std::string> pairs = recipes_in("cifar100");
  EXPECT_EQ(std::count(pairs.begin(), pairs.end(), "resnet56-resnet20"), 1);
}

TEST(RecipeFiles, WhatIsNeitherHereNorThereIsMissing) {
  const TempFolder folder;
  const WorkIn there(folder.path());
  EXPECT_FALSE(recipe_exists("cifar100/nothing.toml"));
  testing::expect_fault(Fault::input, "nothing.toml", [] { read_recipe("cifar100/nothing.toml"); });
  RunSettings settings = default_settings("distill");
  testing::expect_fault(Fault::input, "did you mean 'pcd'",
                        [&] { read_settings("cifar100/resnet56-resnet20/pdc.toml", settings); });
}

}  // namespace
}  // namespace retort
