#include "distill/settings/recipe_names.h"

#include <algorithm>
#include <map>

#include "distill/settings/recipe_files.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// What the files of one data set's folder are for: DATA/PAIR.toml with DATA/methods/METHOD.toml, and
// DATA/teachers/MODEL.toml. Others (shared/) are there to be inherited from.
struct Family {
  std::vector<std::string> pairs, methods, teachers;
};

std::map<std::string, Family> families() {
  std::map<std::string, Family> all;
  for (const CarriedRecipe& recipe : carried_recipes()) {
    const fs::path file(recipe.name);
    const std::string stem = file.stem().string(), folder = file.parent_path().generic_string();
    const std::string inner = file.parent_path().filename().string();
    if (inner == "methods")
      all[file.parent_path().parent_path().generic_string()].methods.push_back(stem);
    else if (inner == "teachers")
      all[file.parent_path().parent_path().generic_string()].teachers.push_back(stem);
    else if (inner != "shared" && inner != "studies")
      all[folder].pairs.push_back(stem);
  }
  return all;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const auto& [folder, family] : families()) {
    for (const std::string& pair : family.pairs)
      for (const std::string& method : family.methods) names.push_back(folder + "/" + pair + "/" + method);
    for (const std::string& teacher : family.teachers) names.push_back(folder + "/teachers/" + teacher);
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path recipe_file(const std::string& name) {
  const std::string stem = name.ends_with(".toml") ? name.substr(0, name.size() - 5) : name;
  const std::vector<std::string> names = recipe_names();
  check(std::binary_search(names.begin(), names.end(), stem), Fault::usage, "there is no recipe '", name,
        "'; ", suggestion(stem, names, "--recipe list shows all, --config reads a file"));
  return fs::path(carried_root) / (stem + ".toml");
}

std::string describe_recipes() {
  constexpr size_t columns = 80, indent = 12;
  std::string all;
  for (const auto& [folder, family] : families()) {
    const auto line = [&](const char* label, const std::vector<std::string>& words) {
      all += wrapped(label + join(words, " "), columns, indent) + "\n";
    };
    if (!family.pairs.empty() && !family.methods.empty()) {
      all += text("retort distill --recipe ", folder, "/PAIR/METHOD\n");
      line("  PAIR      ", family.pairs);
      line("  METHOD    ", family.methods);
    }
    if (!family.teachers.empty()) {
      all += text("retort train --recipe ", folder, "/teachers/MODEL\n");
      line("  MODEL     ", family.teachers);
    }
  }
  return all + "What a recipe sets is shown by --print-config.\n";
}

}  // namespace retort
