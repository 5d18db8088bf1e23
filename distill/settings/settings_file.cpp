// Settings as files: written; and read, with inheritance, and recipes that are put together from a pair's
// file and a method's.
#include <algorithm>
#include <filesystem>

#include "distill/settings/recipe_files.h"
#include "distill/settings/setting_keys.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

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
    std::error_code none;  // a pipe has no such path
    const fs::path real = fs::weakly_canonical(next, none), here = none ? next : real;
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

// Others of its folder are most likely meant.
[[noreturn]] void fail_missing(const fs::path& file) {
  constexpr size_t shown = 8;
  std::vector<std::string> names;
  for (const std::string& name : recipes_in(file.parent_path())) names.push_back(name + ".toml");
  std::string list = "--recipe list shows those that come along";
  for (size_t i = 0; i < std::min(names.size(), shown); ++i)
    list = i == 0 ? "there is " + names[0] : list + ", " + names[i];
  if (names.size() > shown) list += text(" and ", names.size() - shown, " more");
  fail(Fault::input, file.string(), ": no such file; ", suggestion(file.filename().string(), names, list));
}

}  // namespace

void read_settings(const fs::path& file, RunSettings& settings) {
  const fs::path folder = file.parent_path();
  const fs::path pair = folder.parent_path() / (folder.filename().string() + ".toml");
  if (recipe_exists(file)) return lay(settings, with_ancestors(file));
  if (folder.filename().empty() || !recipe_exists(pair)) fail_missing(file);
  const fs::path methods = pair.parent_path() / "methods", method = methods / file.filename();
  if (!recipe_exists(method)) {
    const std::vector<std::string> names = recipes_in(methods);
    fail(Fault::input, file.string(), ": there is no such file, and no recipe ", method.string(),
         " to make it of", names.empty() ? "" : "; " + suggestion(file.stem().string(), names));
  }
  const std::vector<File> files = with_ancestors(pair);
  lay(settings, files);
  lay(settings, with_ancestors(method));
  for (const File& each : files) lay_recipe(settings, each, file.stem().string());
}

std::string settings_toml(const RunSettings& settings) {
  std::string all, table;
  for (const auto& [name, key, value] : key_values(settings)) {
    if (key.kind == KeyType::epochs && value.empty()) continue;
    const size_t dot = name.find('.');
    const std::string its_table = dot == std::string::npos ? "" : name.substr(0, dot);
    if (its_table != table) all += "\n[" + its_table + "]\n";
    table = its_table;
    all += name.substr(dot == std::string::npos ? 0 : dot + 1) + " = " + toml_value(key, value) + "\n";
  }
  return all;
}

}  // namespace retort
