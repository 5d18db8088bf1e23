#include "distill/settings/recipe_files.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "engine/base/file.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

bool on_disk(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

// The name that a path has among the carried ones.
std::string carried_name(const fs::path& path) {
  std::string name = path.lexically_normal().generic_string();
  for (const fs::path& root : {fs::path(carried_root), fs::path("distill/recipes")}) {
    const std::string prefix = root.generic_string() + "/";
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

const CarriedRecipe* carried(const fs::path& file) {
  const std::string name = carried_name(file);
  for (const CarriedRecipe& recipe : carried_recipes()) {
    if (recipe.name == name) return &recipe;
  }
  return nullptr;
}

}  // namespace

bool recipe_exists(const fs::path& file) {
  return on_disk(file) || carried(file);
}

TomlValue read_recipe(const fs::path& file) {
  const CarriedRecipe* recipe = on_disk(file) ? nullptr : carried(file);
  return recipe ? parse_toml(recipe->text, file.string()) : read_toml(file);
}

std::string recipe_text(const fs::path& file) {
  const CarriedRecipe* recipe = on_disk(file) ? nullptr : carried(file);
  return recipe ? std::string(recipe->text) : read_text_file(file);
}

std::vector<std::string> recipes_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
  }
  const std::string inside = carried_name(folder / "");
  for (const CarriedRecipe& recipe : carried_recipes()) {
    const fs::path file(recipe.name);
    if (file.parent_path() / "" == fs::path(inside)) names.insert(file.stem().string());
  }
  return {names.begin(), names.end()};
}

}  // namespace retort
