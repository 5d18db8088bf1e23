#include "distill/study/study.h"

#include <algorithm>

#include "distill/settings/recipe_files.h"
#include "distill/settings/setting_keys.h"
#include "distill/settings/toml_file.h"
#include "distill/study/places.h"
#include "distill/text/markup.h"
#include "engine/base/check.h"
#include "engine/base/nearest.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

constexpr int most_seeds = 1000;

const TomlValue* table_at(const TomlValue& top, const std::string& name, const std::string& file) {
  const TomlValue* value = top.find(name);
  check(!value || value->kind == TomlValue::table, Fault::usage, file, ": ", name, " is ",
        value ? name_of(value->kind) : "", ", expected a table");
  return value;
}

// The tables of [[name]]; none if it is not there.
std::vector<const TomlValue*> tables_at(const TomlValue& top, const std::string& name,
                                        const std::string& file) {
  std::vector<const TomlValue*> tables;
  const TomlValue* value = top.find(name);
  if (!value) return tables;
  check(value->kind == TomlValue::array && !value->items.empty(), Fault::usage, file, ":", value->line, ": ",
        name, " is ", name_of(value->kind), ", expected one or more [[", name, "]]");
  for (const TomlValue& entry : value->items) {
    check(entry.kind == TomlValue::table, Fault::usage, file, ":", entry.line, ": an entry of ", name, " is ",
          name_of(entry.kind), ", expected [[", name, "]]");
    tables.push_back(&entry);
  }
  return tables;
}

std::string text_at(const TomlValue& table, const std::string& name, const std::string& fallback,
                    const std::string& file) {
  const TomlValue* value = table.find(name);
  if (!value) return fallback;
  check(value->kind == TomlValue::string, Fault::usage, file, ":", value->line, ": ", name, " is ",
        name_of(value->kind), ", expected a string");
  return value->as_string;
}

void check_keys(const TomlValue& table, const std::vector<std::string>& known, const std::string& file) {
  for (size_t i = 0; i < table.names.size(); ++i) {
    check(std::find(known.begin(), known.end(), table.names[i]) != known.end(), Fault::usage, file, ":",
          table.items[i].line, ": unknown key '", table.names[i], "'; ", suggestion(table.names[i], known));
  }
}

bool is_printable(const std::string& words) {
  return one_line(words) == words;
}

// A label is a folder's name too. The study's own folders and files keep theirs.
void check_label(const std::string& label, const std::string& file, int line) {
  const bool fine = !label.empty() && label != "teacher" && label != "teachers" && label != "students" &&
                    label[0] != '.' && label.size() <= 200 &&
                    label.find_first_of("/\\") == std::string::npos && is_printable(label);
  check(fine, Fault::usage, file, ":", line, ": the label '", label,
        "' cannot name a folder; expected printable text without slashes, up to 200 bytes, and not "
        "'teacher', 'teachers' or 'students'");
}

template <class Items>
void check_new(const Items& items, auto name_of_item, const std::string& name, const std::string& file,
               int line) {
  const bool known =
      std::any_of(items.begin(), items.end(), [&](const auto& item) { return name_of_item(item) == name; });
  check(!known, Fault::usage, file, ":", line, ": the label '", name,
        "' stands twice; give one of them another label");
}

// The table without the entries of these names.
TomlValue without(const TomlValue& table, const std::vector<std::string>& names) {
  TomlValue rest = table;
  rest.names.clear();
  rest.items.clear();
  for (size_t i = 0; i < table.names.size(); ++i) {
    if (std::find(names.begin(), names.end(), table.names[i]) != names.end()) continue;
    rest.names.push_back(table.names[i]);
    rest.items.push_back(table.items[i]);
  }
  return rest;
}

// As [method] of a run's settings.
TomlValue as_method(const TomlValue& keys) {
  TomlValue wrapped;
  wrapped.line = keys.line;
  wrapped.names = {"method"};
  wrapped.items = {keys};
  return wrapped;
}

struct PairEntry {
  std::string name, teacher, student, weights;
  TomlValue keys = {};                   // of its students, beside what stands above
  const TomlValue* settings = nullptr;  // the same as settings = {...}
};

struct VariantEntry {
  std::string label;     // empty: there are no variants
  TomlValue keys = {};   // as those of a pair
  const TomlValue* settings = nullptr;
};

// Reads one file; what its parts share lies in the members.
class StudyReader {
 public:
  StudyReader(const fs::path& path, const StudyOverrides& overrides)
      : path_(path), file_(path.string()), overrides_(overrides), top_(read_recipe(path)) {}

  Study read() {
    check_keys(
        top_, {"title", "seeds", "settings", "teacher", "student", "methods", "pairs", "variants", "recipes"},
        file_);
    Study study;
    study.title = text_at(top_, "title", path_.stem().string(), file_);
    check(is_printable(study.title), Fault::usage, file_,
          ": the title has control characters, expected a line of text");
    study.seeds = overrides_.seeds.value_or(seeds());
    study.nested = top_.find("pairs") != nullptr;
    settings_ = table_at(top_, "settings", file_);
    teacher_ = table_at(top_, "teacher", file_);
    student_ = table_at(top_, "student", file_);
    const std::string recipes = text_at(top_, "recipes", "", file_);
    if (!recipes.empty()) recipes_ = path_.parent_path() / recipes;

    const std::vector<const TomlValue*> methods = tables_at(top_, "methods", file_);
    check(!methods.empty(), Fault::usage, file_,
          ": no methods; expected one or more [[methods]] with name = \"NAME\"");
    const std::vector<VariantEntry> variants = read_variants();
    for (const PairEntry& entry : read_pairs()) {
      for (const VariantEntry& variant : variants) {
        study.pairs.push_back(pair_of(entry, variant, methods, study.nested));
      }
    }
    check_overrides(study);
    return study;
  }

 private:
  int seeds() const {
    const TomlValue* seeds = top_.find("seeds");
    if (!seeds) return 1;
    const std::string what = text(file_, ":", seeds->line, ": seeds");
    check(seeds->kind == TomlValue::integer, Fault::usage, what, " is ", name_of(seeds->kind),
          ", expected an integer from 1 to ", most_seeds);
    return seeds_of(what, seeds->as_integer);
  }

  // Of a pair's table: its own, and settings.
  void check_pair_keys(const TomlValue& table) const {
    std::vector<std::string> known = {"name", "teacher", "student", "weights", "settings"};
    for (const SettingKey& key : setting_keys()) {
      known.push_back(key.name);
      known.push_back(key.name.substr(0, key.name.find('.')));  // "optimizer" of optimizer.lr
    }
    for (size_t i = 0; i < table.names.size(); ++i) {
      check(std::find(known.begin(), known.end(), table.names[i]) != known.end(), Fault::usage, file_, ":",
            table.items[i].line, ": unknown key '", table.names[i], "'; ",
            suggestion(table.names[i], known, "`retort settings` lists all"));
    }
  }

  std::vector<PairEntry> read_pairs() const {
    const std::vector<const TomlValue*> tables = tables_at(top_, "pairs", file_);
    std::vector<PairEntry> pairs;
    for (const TomlValue* table : tables) {
      check_pair_keys(*table);
      PairEntry pair{.name = "",
                     .teacher = text_at(*table, "teacher", "", file_),
                     .student = text_at(*table, "student", "", file_),
                     .weights = text_at(*table, "weights", "", file_),
                     .keys = without(*table, {"name", "teacher", "student", "weights", "settings"}),
                     .settings = table_at(*table, "settings", file_)};
      check(!pair.teacher.empty() && !pair.student.empty(), Fault::usage, file_, ":", table->line,
            ": a pair needs teacher = \"NETWORK\" and student = \"NETWORK\"");
      pair.name = text_at(*table, "name", pair.teacher + "-" + pair.student, file_);
      check_label(pair.name, file_, table->line);
      check_new(
          pairs, [](const PairEntry& p) { return p.name; }, pair.name, file_, table->line);
      pairs.push_back(pair);
    }
    if (tables.empty()) pairs.push_back({});  // [teacher] and [student] say who
    return pairs;
  }

  std::vector<VariantEntry> read_variants() const {
    std::vector<VariantEntry> variants;
    for (const TomlValue* table : tables_at(top_, "variants", file_)) {
      VariantEntry variant{text_at(*table, "label", "", file_), without(*table, {"label", "settings"}),
                           table_at(*table, "settings", file_)};
      check_label(variant.label, file_, table->line);
      check_new(
          variants, [](const VariantEntry& v) { return v.label; }, variant.label, file_, table->line);
      variants.push_back(std::move(variant));
    }
    if (variants.empty()) variants.push_back({});
    return variants;
  }

  void lay(RunSettings& settings, const TomlValue* table) const {
    if (table) set_from_table(settings, *table, file_, {"weights"});
  }

  StudyPair pair_of(const PairEntry& entry, const VariantEntry& variant,
                    const std::vector<const TomlValue*>& methods, bool nested) const {
    StudyPair pair;
    pair.teacher = composed_settings("train", [&](RunSettings& settings) {
      if (!recipes_.empty() && !entry.teacher.empty() && entry.weights.empty())
        read_settings(recipes_ / "teachers" / (entry.teacher + ".toml"), settings);
      lay(settings, settings_);
      lay(settings, teacher_);
      if (!entry.teacher.empty()) settings.model = entry.teacher;
      lay_overrides(settings, false);
    });
    pair.teacher_weights = !nested && teacher_ ? text_at(*teacher_, "weights", "", file_) : entry.weights;

    for (const TomlValue* table : methods) {
      const std::string name = text_at(*table, "recipe", text_at(*table, "name", "", file_), file_);
      StudyMethod method{text_at(*table, "label", name, file_), student_settings(entry, variant, *table)};
      check_label(method.label, file_, table->line);
      check_new(
          pair.methods, [](const StudyMethod& m) { return m.label; }, method.label, file_, table->line);
      pair.methods.push_back(std::move(method));
    }
    pair.name = nested ? entry.name : pair.student();
    if (!nested && !pair.teacher.model.empty()) pair.name = pair.teacher.model + "-" + pair.name;
    if (nested) pair.place = entry.name;
    if (!variant.label.empty()) {
      pair.name += ", " + variant.label;
      pair.variant = variant.label;
      pair.place /= variant.label;
    }
    return pair;
  }

  RunSettings student_settings(const PairEntry& entry, const VariantEntry& variant,
                               const TomlValue& method) const {
    RunSettings settings =
        composed_settings("train", [&](RunSettings& all) { lay_student(all, entry, variant, method); });
    settings.command = settings.method.method().reads.teacher ? "distill" : "train";
    return settings;
  }

  void lay_student(RunSettings& settings, const PairEntry& entry, const VariantEntry& variant,
                   const TomlValue& method) const {
    if (!recipes_.empty() && !entry.teacher.empty()) {
      const std::string name = text_at(method, "recipe", text_at(method, "name", "", file_), file_);
      read_settings(recipes_ / (entry.teacher + "-" + entry.student) / (name + ".toml"), settings);
      settings.teacher_model.clear();
    }
    lay(settings, settings_);
    lay(settings, student_);
    if (!entry.student.empty()) settings.model = entry.student;
    check(!settings.model.empty(), Fault::usage, file_,
          ": no student is named; expected [student] with model = \"NAME\"");
    set_from_table(settings, entry.keys, file_);
    if (entry.settings) set_from_table(settings, *entry.settings, file_);
    set_from_table(settings, variant.keys, file_);
    if (variant.settings) set_from_table(settings, *variant.settings, file_);
    check(recipes_.empty() ? !method.find("recipe") : true, Fault::usage, file_, ":", method.line,
          ": a method has a recipe, but no recipes = \"FOLDER\" says where they lie");
    set_from_table(settings, as_method(without(method, {"label", "recipe"})), file_);
    lay_overrides(settings, true);
  }

  static bool is_of_method(const std::string& key) { return key.starts_with("method."); }

  // methods: also a method's own keys, where it has them.
  void lay_overrides(RunSettings& settings, bool methods) const {
    for (const auto& [key, value] : overrides_.sets) {
      check(!said_by_study(key), Fault::usage, "compare: ", key, " is the study's to say, in ", file_);
      if (is_of_method(key) && !(methods && settings.method.has(key.substr(7)))) continue;
      const DataSettings before = settings.data;
      set_key(settings, key, value);
      if (key != "data.spec") continue;
      settings.data.spec = data_elsewhere(value, before.spec);
      if (const std::string labels = labels_elsewhere(value, before); !labels.empty())
        settings.data.val_labels = labels;
    }
  }
  void check_overrides(const Study& study) const {
    for (const auto& [name, value] : overrides_.sets) {
      const std::string& key = name;
      if (!is_of_method(key)) continue;
      const auto has = [&](const StudyMethod& method) { return method.settings.method.has(key.substr(7)); };
      const bool taken = std::any_of(study.pairs.begin(), study.pairs.end(), [&](const StudyPair& pair) {
        return std::any_of(pair.methods.begin(), pair.methods.end(), has);
      });
      check(taken, Fault::usage, "compare: no method of ", file_, " has the key ", key);
    }
  }

  const fs::path path_;
  const std::string file_;
  const StudyOverrides& overrides_;
  const TomlValue top_;
  const TomlValue *settings_ = nullptr, *teacher_ = nullptr, *student_ = nullptr;
  fs::path recipes_;
};

}  // namespace

int seeds_of(const std::string& what, int64_t seeds) {
  check(seeds >= 1 && seeds <= most_seeds, Fault::usage, what, " is ", seeds, ", expected 1 to ", most_seeds);
  return int(seeds);
}

Study read_study(const fs::path& file, const StudyOverrides& overrides) {
  return StudyReader(file, overrides).read();
}

fs::path find_study(const std::string& name) {
  std::error_code ignored;
  const auto is_file = [&](const fs::path& path) { return fs::is_regular_file(path, ignored); };
  if (fs::path(name).has_parent_path() || name.ends_with(".toml") || is_file(name)) return name;
  if (is_file(name + ".toml")) return name + ".toml";
  const fs::path studies = fs::path(carried_root) / "studies", file = studies / (name + ".toml");
  if (recipe_exists(file)) return file;
  check(
      !fs::is_directory(name, ignored), Fault::input, name,
      ": is a folder, expected a study; where it is that of a study's runs, name the study itself and --out ",
      name);
  const std::vector<std::string> known = recipes_in(studies);
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  std::vector<std::string> candidates = known;
  for (const std::string& local : recipes_in(".")) candidates.push_back(local + ".toml");
  fail(Fault::input, "there is no study '", name, "' and no such file; ",
       suggestion(name, candidates, "name a file"), "; there are ", list);
}

}  // namespace retort
