// What may be typed next: of the commands' options, the keys, and the names of networks, methods, recipes and
// studies.
#include "cli/candidates.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/key_sheet.h"
#include "cli/manual.h"
#include "datasets/open.h"
#include "distill/methods/registry.h"
#include "distill/report/published.h"
#include "distill/settings/recipe_files.h"
#include "distill/settings/recipe_names.h"
#include "engine/base/text.h"
#include "models/model.h"

namespace retort {

namespace {

using Word = Candidates::Word;
using Words = std::vector<Word>;

Words plain(const std::vector<std::string>& names) {
  Words words;
  for (const std::string& name : names) words.push_back({name, ""});
  return words;
}

Words command_words() {
  Words words;
  for (const Command& command : commands()) words.push_back({command.name, command.summary});
  return words;
}

Words method_words(bool logits_only) {
  Words words;
  for (const MethodInfo& method : methods())
    if (!logits_only || !method.reads.features) words.push_back({method.name, method.title});
  return words;
}

Words study_words() {
  std::set<std::string> names;
  for (const std::string& name : recipes_in(std::filesystem::path(carried_root) / "studies"))
    names.insert(name);
  return plain({names.begin(), names.end()});
}

Words pair_words() {
  std::vector<std::string> pairs;
  for (const Published& row : published_results())
    if (std::find(pairs.begin(), pairs.end(), row.pair) == pairs.end()) pairs.push_back(row.pair);
  return plain(pairs);
}

// "KEY=" of the keys that the command takes; behind the =, what the key may be.
Words set_words(const std::string& command, const std::string& typed) {
  const bool of_loss = command == "loss";
  const size_t equals = typed.find('=');
  Words words;
  std::set<std::string> seen;
  for (const KeySheet& sheet : key_sheets()) {
    if (std::count(sheet.commands.begin(), sheet.commands.end(), command) == 0) continue;
    if (of_loss && sheet.name == "method.name") continue;
    const std::string key = of_loss ? sheet.name.substr(sheet.name.find('.') + 1) : sheet.name;
    if (equals == std::string::npos) {
      if (seen.insert(key).second) words.push_back({key + "=", sheet.help});
      continue;
    }
    if (key != typed.substr(0, equals)) continue;
    std::vector<std::string> values = sheet.choices;
    if (sheet.type == "flag") values = {"true", "false"};
    if (values.empty() && !sheet.fallback.empty()) values = {sheet.fallback};
    for (const std::string& value : values)
      if (seen.insert(value).second) words.push_back({key + "=" + value, ""});
  }
  return words;
}

bool names_files(const std::string& value) {
  for (const char* kind : {"FILE", "RUN", "IMAGE", "DIR", "YAML"})
    if (value.find(kind) != std::string::npos) return true;
  return false;
}

Candidates::Files files_of(const std::string& value) {
  if (!names_files(value)) return Candidates::Files::none;
  const bool folders_only = value == "DIR" || value == "RUN" || value == "RUN RUN" || value == "DIR ...";
  return folders_only ? Candidates::Files::folders : Candidates::Files::any;
}

// Of --data: how a data set is named, and behind the colon where it lies.
Candidates data_values(const std::string& typed) {
  Candidates all;
  all.words = plain(dataset_words());
  const size_t colon = typed.find(':');
  const std::string kind = typed.substr(0, colon == typed.npos ? 0 : colon + 1);
  const bool lies = std::count_if(all.words.begin(), all.words.end(),
                                  [&](const Word& word) { return !kind.empty() && word.word == kind; }) > 0;
  if (lies) all.files = kind == "pack:" ? Candidates::Files::any : Candidates::Files::folders;
  return all;
}

// Of an option's value; `typed` is what there is of it.
Candidates values_of(const std::string& command, const OptionSheet::Option& option,
                     const std::string& typed) {
  Candidates all;
  const std::vector<std::string> names = option.name_list();
  const std::string& name = names.back();
  if (!option.choices.empty()) {
    all.words = plain(option.choices);
  } else if (name == "--set") {
    all.words = set_words(command, typed);
  } else if (name == "--method") {
    all.words = method_words(command == "loss");
  } else if (name == "--model" || name == "--student" || name == "--teacher-model") {
    all.words = plain(model_names());
  } else if (name == "--recipe") {
    all.words = plain(recipe_names());
    all.words.push_back({"list", "shows all"});
  } else if (name == "--data") {
    all = data_values(typed);
  } else {
    for (const KeySheet& sheet : key_sheets())
      if (sheet.flag.starts_with(name + " ") && !sheet.choices.empty()) all.words = plain(sheet.choices);
    all.files = files_of(option.value);
  }
  return all;
}

// Of what stands without an option before it. `before`: what stands there already.
Candidates positionals_of(const OptionSheet& sheet, const std::vector<std::string>& before,
                          const std::string& typed) {
  Candidates all;
  const std::string& command = sheet.command;
  if (command == "info") {
    all.words = plain(model_names());
  } else if (command == "compare") {
    all.words = study_words();
  } else if (command == "published") {
    all.words = pair_words();
  } else if (command == "completion") {
    all.words = plain({"bash", "zsh", "fish"});
  } else if (command == "settings") {
    std::set<std::string> names;
    for (const KeySheet& key : key_sheets())
      if (names.insert(key.name).second) all.words.push_back({key.name, key.help});
  } else if (command == "data" && before.empty()) {
    all.words = plain(data_actions());
    return all;
  } else if (command == "data" && before.size() == 1 && before[0] == "fetch") {
    all.words = plain({"cifar100", "cifar10"});
    return all;
  } else if (command == "data" && before.size() == 1 && before[0] == "export") {
    all.words = plain({"scenes"});
    return all;
  } else if (command == "data" && before.size() == 1 && before[0] != "recipe") {  // list, verify, pack
    all.words = plain({"folder:"});
    if (typed.starts_with("folder:")) all.files = Candidates::Files::folders;
    return all;
  }
  all.files = files_of(sheet.positional);
  if (command == "data") all.files = Candidates::Files::any;
  if (command == "compare") all.files = Candidates::Files::any;
  return all;
}

Candidates beginning_with(Candidates all, const std::string& typed, const std::string& prefix = "") {
  std::erase_if(all.words, [&](const Word& word) { return !word.word.starts_with(typed); });
  for (Word& word : all.words) word.word = prefix + word.word;
  return all;
}

}  // namespace

Candidates candidates(const std::vector<std::string>& words) {
  const std::string typed = words.empty() ? "" : words.back();
  if (words.size() <= 1) {
    Candidates all;
    all.words = command_words();
    for (const char* name : {"help", "--help", "--version"})
      if (!typed.empty()) all.words.push_back({name, ""});
    return beginning_with(std::move(all), typed);
  }
  if (words[0] == "help") return beginning_with({command_words(), Candidates::Files::none}, typed);
  const auto command = std::find_if(commands().begin(), commands().end(),
                                    [&](const Command& one) { return words[0] == one.name; });
  if (command == commands().end()) return {};
  const OptionSheet sheet = sheet_of(*command);
  const auto option_of = [&](const std::string& name) -> const OptionSheet::Option* {
    for (const OptionSheet::Option& option : sheet.options) {
      const std::vector<std::string> names = option.name_list();
      if (std::find(names.begin(), names.end(), name) != names.end()) return &option;
    }
    return nullptr;
  };

  std::vector<std::string> before;  // positionals
  const OptionSheet::Option* pending = nullptr;
  bool options_end = false;
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    if (pending) {
      pending = nullptr;
    } else if (!options_end && words[i] == "--") {
      options_end = true;
    } else if (!options_end && words[i].starts_with("-")) {
      pending = option_of(words[i]);
      if (pending && pending->value.empty()) pending = nullptr;
    } else {
      before.push_back(words[i]);
    }
  }
  if (pending) return beginning_with(values_of(sheet.command, *pending, typed), typed);
  if (!options_end && typed.starts_with("-")) {
    const size_t equals = typed.find('=');
    if (equals != std::string::npos) {  // --device=on
      const OptionSheet::Option* option = option_of(typed.substr(0, equals));
      if (!option || option->value.empty()) return {};
      const std::string value = typed.substr(equals + 1);
      return beginning_with(values_of(sheet.command, *option, value), value, typed.substr(0, equals + 1));
    }
    Candidates all;
    for (const OptionSheet::Option& option : sheet.options)
      for (const std::string& name : option.name_list()) all.words.push_back({name, option.help});
    return beginning_with(std::move(all), typed);
  }
  return beginning_with(positionals_of(sheet, before, typed), typed);
}

}  // namespace retort
