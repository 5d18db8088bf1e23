// Recipes and studies by the names of their files. The text of all of distill/recipes is in the program, so
// that they are there wherever the program lies; a file of the same name on the disk comes first.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "distill/settings/toml_file.h"

namespace retort {

struct CarriedRecipe {
  std::string_view name;  // as below distill/recipes: "cifar100/resnet56-resnet20.toml"
  std::string_view text;
};

// By name.
std::span<const CarriedRecipe> carried_recipes();

// A carried file's path begins with this: "recipes:/studies/quick.toml". Without it, or with distill/recipes
// instead, it is found as well.
inline constexpr const char* carried_root = "recipes:";

// On the disk or in the program.
bool recipe_exists(const std::filesystem::path& file);

// The table of a file, on the disk or else in the program. Throws as read_toml does.
TomlValue read_recipe(const std::filesystem::path& file);

// The text itself.
std::string recipe_text(const std::filesystem::path& file);

// The files in a folder without their .toml, on the disk and in the program, sorted.
std::vector<std::string> recipes_in(const std::filesystem::path& folder);

}  // namespace retort
