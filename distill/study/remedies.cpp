#include "distill/study/remedies.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "distill/run/run_settings.h"
#include "distill/run/sealed.h"
#include "distill/study/checked_file.h"
#include "distill/study/recorded_run.h"
#include "distill/study/runs.h"
#include "distill/study/seed_runs.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

Words words_of(const Json& entry) {
  Words words;
  if (!entry.is_object() || !entry.contains("arguments") || !entry["arguments"].is_array()) return words;
  for (const Json& word : entry["arguments"])
    words.push_back(word.is_string() ? word.get<std::string>() : "");
  // env.json may be a stranger's: nothing but what makes a run again.
  const bool trains = words.size() > 1 && words[0] == "retort" &&
                      (words[1] == "train" || words[1] == "distill" || words[1] == "compare");
  const bool plain = std::all_of(words.begin(), words.end(),
                                 [](const std::string& word) { return without_controls(word, '?') == word; });
  return trains && plain ? words : Words{};
}

// All commands that worked at a run, the first one first; none if env.json does not hold.
std::vector<TypedCommand> commands_of(const fs::path& run) {
  const fs::path file = run / "env.json";
  std::vector<TypedCommand> all;
  try {
    const Json json = read_json(file);
    check_seal(json, file);
    const auto add = [&](const Json& entry) {
      const Words words = words_of(entry);
      if (!words.empty()) all.push_back({words, {}, entry.value("started", "")});
    };
    add(json);
    if (json.contains("resumed") && json["resumed"].is_array())
      for (const Json& entry : json["resumed"]) add(entry);
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  try {
    const std::string typed_in = read_run_settings(run).typed_in;
    std::error_code ignored;
    for (TypedCommand& one : all)
      if (!typed_in.empty()) one.in = fs::weakly_canonical(run / typed_in, ignored);
  } catch (const Error&) {
  }
  return all;
}

// Without an option, as "--out DIR" or "--out=DIR".
void take_out(Words& words, const std::string& option, bool has_value) {
  for (size_t i = 2; i < words.size();) {
    if (words[i] == option)
      words.erase(words.begin() + std::ptrdiff_t(i),
                  words.begin() + std::ptrdiff_t(std::min(words.size(), i + (has_value ? 2 : 1))));
    else if (words[i].starts_with(option + "="))
      words.erase(words.begin() + std::ptrdiff_t(i));
    else
      ++i;
  }
}

bool holds(const Words& words, const std::string& option) {
  return std::find(words.begin(), words.end(), option) != words.end();
}

// As a shell takes it for one word.
std::string shell_word(const std::string& word) {
  const auto harmless = [](unsigned char c) { return std::isalnum(c) || std::strchr("/._-+,:=@%", c); };
  if (!word.empty() && std::all_of(word.begin(), word.end(), harmless)) return word;
  std::string all = "'";
  for (const char c : word) all += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return all + "'";
}

// A path is no option, whatever it begins with.
std::string shell_path(const fs::path& path) {
  return shell_word(path.string().starts_with('-') ? "./" + path.string() : path.string());
}

}  // namespace

std::string remove_command(const fs::path& file) {
  std::error_code ignored;
  return (fs::is_directory(file, ignored) ? "rm -r " : "rm ") + shell_path(file);
}

std::string resume_command(const std::string& command, const fs::path& folder) {
  return text("retort ", command.empty() ? "train" : command, " --resume ", shell_path(folder));
}

std::string anew_command(const std::string& command, const fs::path& run) {
  return text("retort ", command, " --config ", shell_path(run / "config.toml"), " --out ", shell_path(run),
              " --force");
}

std::string report_command(const fs::path& folder) {
  return "retort report " + shell_path(folder);
}

std::optional<TypedCommand> command_of_study(const std::vector<fs::path>& runs) {
  // Where it was typed is said by the run's settings, if they hold.
  const auto rank = [](const TypedCommand& one) { return std::pair(!one.in.empty(), one.started); };
  std::optional<TypedCommand> last;
  for (const fs::path& run : runs)
    for (const TypedCommand& one : commands_of(run))
      if (one.words[1] == "compare" && (!last || rank(one) > rank(*last))) last = one;
  return last;
}

std::string typed_again(const TypedCommand& command, const fs::path& folder) {
  Words words = command.words;
  take_out(words, "--force", false);
  take_out(words, "--task", true);
  take_out(words, "--out", true);
  std::error_code ignored;
  const bool here =
      command.in.empty() || command.in == fs::weakly_canonical(fs::current_path(ignored), ignored);
  words.insert(words.end(),
               {"--out", here ? folder.string() : fs::absolute(folder, ignored).lexically_normal().string()});
  std::string all = here ? "" : "cd " + shell_path(command.in) + " && ";
  for (size_t i = 0; i < words.size(); ++i) all += (i > 0 ? " " : "") + shell_word(words[i]);
  return all;
}

std::string run_again(const fs::path& run, const std::optional<TypedCommand>& study, const fs::path& in) {
  const std::string rest = remove_command(run) + " && ";
  const fs::path above = run.has_parent_path() ? run.parent_path() : fs::path(".");
  try {
    if (holds_seeds(above)) return rest + resume_command(read_recorded_seeds(above).settings.command, above);
  } catch (const Error&) {
    return "";
  }
  if (study) return rest + typed_again(*study, in);
  const std::vector<TypedCommand> typed = commands_of(run);
  const bool known = !typed.empty() && typed[0].words[1] != "compare" && !holds(typed[0].words, "--resume");
  return known ? rest + typed_again(typed[0], run) : "";
}

}  // namespace retort
