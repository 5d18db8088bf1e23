// Reading settings from files: inheritance, and recipes that are put together from a pair's file and a
// method's.
#include <algorithm>
#include <filesystem>

#include "distill/settings/recipe_files.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr const char* inherit_key = "inherit";
constexpr const char* recipe_key = "recipe";

struct File {
  std::string name;  // as it was named, for messages
  TomlValue table;
};

// The file after those that it inherits from, the root first.
std::vector<File> with_ancestors(const fs::path& file) {
  std::vector<File> chain;
  std::vector<fs::path> seen;
  for (fs::path next = file;;) {
    const fs::path here = fs::weakly_canonical(next);
    if (std::find(seen.begin(), seen.end(), here) != seen.end()) {
      std::string circle;
      for (const fs::path& step : seen) circle += step.filename().string() + " inherits ";
      fail(Fault::usage, file.string(), ": inherits from itself: ", circle, here.filename().string());
    }
    seen.push_back(here);
    chain.insert(chain.begin(), {next.string(), read_recipe(next)});
    const File& added = chain.front();
    const TomlValue* base = added.table.find(inherit_key);
    if (!base) return chain;
    check(base->kind == TomlValue::string, Fault::usage, added.name, ":", base->line, ": inherit is ",
          name_of(base->kind), ", expected the name of a file");
    next = next.parent_path() / base->as_string;
  }
}

TomlValue without(TomlValue table, const std::string& name) {
  const auto at = std::find(table.names.begin(), table.names.end(), name);
  if (at == table.names.end()) return table;
  table.items.erase(table.items.begin() + (at - table.names.begin()));
  table.names.erase(at);
  return table;
}

void lay(RunSettings& settings, const std::vector<File>& files) {
  for (const File& file : files)
    set_from_table(settings, without(file.table, recipe_key), file.name, {inherit_key});
}

// What a pair's file sets for one recipe: its table [recipe.NAME].
void lay_recipe(RunSettings& settings, const File& pair, const std::string& name) {
  const TomlValue* recipes = pair.table.find(recipe_key);
  const TomlValue* own = recipes ? recipes->find(name) : nullptr;
  if (!own) return;
  check(own->kind == TomlValue::table, Fault::usage, pair.name, ":", own->line, ": recipe.", name, " is ",
        name_of(own->kind), ", expected a table of settings");
  set_from_table(settings, *own, pair.name);
}

}  // namespace

void read_settings(const fs::path& file, RunSettings& settings) {
  const fs::path folder = file.parent_path();
  const fs::path pair = folder.parent_path() / (folder.filename().string() + ".toml");
  if (recipe_exists(file) || folder.filename().empty() || !recipe_exists(pair)) {
    return lay(settings, with_ancestors(file));
  }
  const fs::path methods = pair.parent_path() / "methods", method = methods / file.filename();
  if (!recipe_exists(method)) {
    const std::vector<std::string> names = recipes_in(methods);
    fail(Fault::input, file.string(), ": there is no such file, and no recipe ", method.string(),
         " to make it of",
         names.empty() ? "" : "; did you mean '" + nearest(file.stem().string(), names) + "'?");
  }
  const std::vector<File> files = with_ancestors(pair);
  lay(settings, files);
  lay(settings, with_ancestors(method));
  for (const File& each : files) lay_recipe(settings, each, file.stem().string());
}

}  // namespace retort
