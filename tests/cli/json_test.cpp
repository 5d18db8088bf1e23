// What --json prints is what cli/json.md says: every entry stands there with its type, and nothing that
// stands there is missing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/commands.h"
#include "datasets/formats/npy.h"
#include "tests/support/paths.h"
#include "tests/support/photo_folder.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::run;
using testing::TempFolder;

struct Entry {
  std::string type;
  bool optional = false;
};
using Entries = std::map<std::string, Entry>;  // by path: "runs[].seed"

std::vector<std::string> in_quotes(const std::string& cell) {
  std::vector<std::string> words;
  for (size_t from = cell.find('`'); from != std::string::npos;) {
    const size_t end = cell.find('`', from + 1);
    words.push_back(cell.substr(from + 1, end - from - 1));
    from = cell.find('`', end + 1);
  }
  return words;
}

// The table of the page, by command.
std::map<std::string, Entries> documented() {
  std::map<std::string, Entries> all;
  std::istringstream lines(testing::content_of(testing::recipes_folder() + "/../../cli/json.md"));
  std::vector<std::string> commands;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `") && !line.starts_with("| | `")) continue;
    std::vector<std::string> cells;
    std::istringstream in(line.substr(1));
    for (std::string cell; std::getline(in, cell, '|');) cells.push_back(cell);
    EXPECT_EQ(cells.size(), 4u) << line;
    if (cells.size() < 4) continue;
    if (const auto named = in_quotes(cells[0]); !named.empty()) commands = named;
    std::string type = cells[2].substr(1, cells[2].find_last_not_of(' '));
    const bool optional = type.ends_with('?');
    if (optional) type.pop_back();
    for (const std::string& command : commands)
      for (const std::string& path : in_quotes(cells[1])) all[command][path] = {type, optional};
  }
  return all;
}

std::string type_of(const json& value) {
  if (value.is_string()) return "text";
  if (value.is_boolean()) return "flag";
  return value.is_number() ? "number" : value.is_null() ? "null" : value.type_name();
}

// Whether `path` is `pattern`, in which * stands for one name, whatever is in it.
bool fits(const std::string& pattern, const std::string& path) {
  const size_t star = pattern.find('*');
  if (star == std::string::npos) return pattern == path;
  const std::string before = pattern.substr(0, star), after = pattern.substr(star + 1);
  return path.size() > before.size() + after.size() && path.starts_with(before) && path.ends_with(after);
}

class Comparison {
 public:
  explicit Comparison(const Entries& entries) : entries_(entries) {}

  void walk(const json& value, const std::string& path) {
    if (value.is_object()) {
      for (const auto& [name, inner] : value.items()) walk(inner, path.empty() ? name : path + "." + name);
      if (value.empty()) empty_.insert(path + ".");
    } else if (value.is_array()) {
      for (const json& inner : value) walk(inner, path + "[]");
      if (value.empty()) empty_.insert(path + "[]");
    } else {
      const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                      [&](const auto& one) { return fits(one.first, path); });
      if (entry == entries_.end()) {
        ADD_FAILURE() << path << " is not in cli/json.md";
        return;
      }
      const std::string type = type_of(value);
      EXPECT_TRUE(type == "null" || type == entry->second.type) << path << " is " << value;
      seen_.insert(entry->first);
    }
  }

  void expect_all() const {
    for (const auto& [path, entry] : entries_) {
      const bool below_empty =
          std::any_of(empty_.begin(), empty_.end(),
                      [&, &p = path](const std::string& one) { return p.starts_with(one); });
      EXPECT_TRUE(entry.optional || below_empty || seen_.contains(path)) << path << " is not printed";
    }
  }

 private:
  const Entries& entries_;
  std::set<std::string> seen_, empty_;
};

class Json : public ::testing::Test {
 protected:
  void holds(const std::string& command, const std::vector<std::string>& arguments) {
    SCOPED_TRACE(command);
    ASSERT_TRUE(all.contains(command));
    const auto outcome = run(arguments, work);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    json printed = json::parse(outcome.out);
    EXPECT_EQ(printed["schema"], 1);
    printed.erase("schema");
    Comparison comparison(all.at(command));
    comparison.walk(printed, "");
    comparison.expect_all();
  }

  const TempFolder work;
  const std::map<std::string, Entries> all = documented();
};

// "This page is complete."
TEST_F(Json, PageHasEveryCommandWithIt) {
  for (const Command& command : commands()) {
    const bool takes = run({command.name, "--help"}, work).out.find("--json") != std::string::npos;
    const std::string name = command.name;
    const bool there = std::any_of(all.begin(), all.end(), [&](const auto& one) {
      return one.first == name || one.first.starts_with(name + " ");
    });
    EXPECT_EQ(there, takes && name != "report") << name;  // of which the page has a paragraph
  }
}

TEST_F(Json, OfFilesIsAsDocumented) {
  ASSERT_EQ(run({"train", "--model", "resnet8", "--epochs", "1", "--batch", "32", "--data",
                 "synthetic:train=64,test=48", "--out", "t", "--quiet"},
                work)
                .code,
            0);
  holds("export", {"export", "t", "--to", "c", "--verify", "--data", "synthetic:train=64,test=48", "--quiet",
                   "-o", "t.c", "--json"});
  holds("export", {"export", "t", "--to", "safetensors", "--verify", "-o", "t.safetensors", "--json"});
  ASSERT_EQ(run({"export", "t", "--to", "infer", "-o", "t.retort", "--quiet"}, work).code, 0);
  holds("bench", {"bench", "t.retort", "--seconds", "0", "--json"});
  holds("import", {"import", "t.safetensors", "--out", "i.safetensors", "--json"});
  testing::write_photo_folder(work, 3, 2);
  const std::string photos = "folder:" + work.path().string();
  holds("data list", {"data", "list", photos, "--json"});
  holds("data verify", {"data", "verify", photos, "--json"});
  holds("data pack", {"data", "pack", photos, "p.pack", "--json"});
  work.write("kd.yaml", "DISTILLER:\n  TYPE: \"KD\"\n  TEACHER: \"resnet56\"\n  STUDENT: \"resnet20\"\n");
  holds("data recipe", {"data", "recipe", "kd.yaml", "--json"});
  holds("data export", {"data", "export", "scenes:train=1,test=2", "coco", "--json"});
  work.write("r.json", "[]");
  holds("coco-eval", {"coco-eval", "coco/annotations/instances_val2017.json", "r.json", "--json"});
}

TEST_F(Json, IsAsDocumented) {
  work.write("study.toml",
             "title = \"t\"\n[settings]\nepochs = 1\nbatch = 32\ndata.spec = \"synthetic:train=64,test=48\"\n"
             "[teacher]\nmodel = \"resnet14\"\n[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"kd\"\n");
  write_npy(work / "z.npy", {1, 4}, std::span<const double>(std::vector<double>{1, 2, 3, 0}));
  write_npy(work / "x.npy", {1, 32, 32, 3}, std::span<const float>(std::vector<float>(3072, 0.5f)));
  holds("--version", {"--version", "--json"});
  holds("compare --dry-run", {"compare", "study.toml", "--out", "s", "--dry-run", "--json"});
  holds("compare --submit",
        {"compare", "study.toml", "--out", "s", "--submit", "slurm", "--dry-run", "--json"});
  holds("compare --task", {"compare", "study.toml", "--out", "one", "--task", "0", "--quiet", "--json"});
  holds("compare", {"compare", "study.toml", "--out", "s", "--seeds", "2", "--quiet", "--json"});
  holds("distill", {"distill", "--teacher", "s/teacher", "--student", "resnet8", "--epochs", "1", "--batch",
                    "32", "--data", "synthetic:train=64,test=48", "--out", "d", "--quiet", "--json"});
  holds("train", {"train", "--model", "resnet8", "--epochs", "1", "--batch", "32", "--data",
                  "synthetic:train=64,test=48", "--out", "t", "--quiet", "--json"});
  holds("eval", {"eval", "--weights", "t", "--per-class", "--quiet", "--json"});
  holds("predict", {"predict", "--weights", "t", "x.npy", "--json"});
  holds("loss", {"loss", "--method", "pcd", "--student", "z.npy", "--teacher", "z.npy", "--json"});
  holds("info", {"info", "--json"});
  holds("info NETWORK", {"info", "resnet8", "--json"});
  holds("info NETWORK", {"info", "t", "--json"});
  holds("info --methods", {"info", "--methods", "--json"});
  holds("info --peak", {"info", "--peak", "--json"});
  holds("settings", {"settings", "--json"});
  holds("published", {"published", "--json"});
  holds("ls", {"ls", "s", "--json"});
  holds("diff", {"diff", "d", "t", "--json"});
  holds("check", {"check", "t", "--json"});
  EXPECT_EQ(json::parse(run({"report", "s", "--no-eval", "--quiet", "--json"}, work).out)["schema"], 1);
}

}  // namespace
}  // namespace retort
