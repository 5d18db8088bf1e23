// Finding one's way: what can be set, what there is, what was run, and what the shell and the manual say of
// it, held against the tables that all of it comes from.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "cli/key_sheet.h"
#include "distill/methods/registry.h"
#include "distill/report/published.h"
#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/study.h"
#include "models/detection/detector.h"
#include "models/model.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What Tab offers, without the help behind each word.
std::vector<std::string> offered(const std::vector<std::string>& words) {
  TempFolder work;
  std::vector<std::string> arguments = {"completion", "candidates"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<std::string> all;
  for (const std::string& line : lines_of(run(arguments, work).out))
    all.push_back(line.substr(0, line.find('\t')));
  return all;
}

bool offers(const std::vector<std::string>& words, const std::string& word) {
  const std::vector<std::string> all = offered(words);
  return std::find(all.begin(), all.end(), word) != all.end();
}

// The commands that the program's help lists.
std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const std::string& name : offered({""}))
    if (!name.starts_with("-") && name != "help") names.push_back(name);
  return names;
}

TEST(Finding, SettingsHoldsEveryKeyWithItsDefault) {
  TempFolder work;
  const json keys = json::parse(run({"settings", "--json"}, work).out)["keys"];
  std::set<std::string> names;
  for (const json& key : keys) {
    names.insert(key["key"]);
    EXPECT_FALSE(key["help"].get<std::string>().empty()) << key;
    EXPECT_FALSE(key["commands"].empty()) << key;
  }
  for (const SettingKey& key : setting_keys()) {
    EXPECT_TRUE(names.contains(key.name)) << key.name;
    const auto entry =
        std::find_if(keys.begin(), keys.end(), [&](const json& k) { return k["key"] == key.name; });
    const std::string value = get_key(RunSettings{}, key);
    EXPECT_EQ((*entry)["default"], value.empty() ? json(nullptr) : json(value));
    if (value.empty()) continue;
    RunSettings settings;
    EXPECT_NO_THROW(set_key(settings, key.name, value)) << key.name;
  }
  // Each method's key stands there once with this method's default.
  for (const MethodInfo& method : methods()) {
    for (const MethodKey& key : method.keys) {
      int found = 0;
      for (const json& entry : keys) {
        const auto of = entry["methods"].get<std::vector<std::string>>();
        if (entry["key"] == "method." + key.name && std::count(of.begin(), of.end(), method.name) == 1) {
          ++found;
          EXPECT_EQ(entry["default"], key.fallback);
        }
      }
      EXPECT_EQ(found, 1) << method.name << " " << key.name;
    }
  }
}

TEST(Finding, SettingsAreFoundByPartFlagMethodAndPattern) {
  TempFolder work;
  const auto found = [&](const std::string& pattern) {
    const json all = json::parse(run({"settings", pattern, "--json"}, work).out);
    std::set<std::string> names;
    for (const json& key : all["keys"]) names.insert(key["key"]);
    return names;
  };
  EXPECT_TRUE(found("LR").contains("optimizer.lr"));
  EXPECT_TRUE(found("teacher-source").contains("teacher_source"));
  EXPECT_TRUE(found("pcd").contains("method.stages"));
  EXPECT_EQ(found("schedule.*"),
            (std::set<std::string>{"schedule.evaluate_every", "schedule.factor", "schedule.kind",
                                   "schedule.milestones", "schedule.ramp", "schedule.ramp_slip",
                                   "schedule.steps", "schedule.warmup_steps"}));
  EXPECT_EQ(found("see?"), std::set<std::string>{"seed"});
  expect_contains(failure(2, {"settings", "temprature"}, work), "method.temperature");
  expect_contains(failure(2, {"settings", "a", "b"}, work), "expected one");
  for (const std::string& line : lines_of(run({"settings"}, work).out)) EXPECT_LE(line.size(), 80u) << line;
  const std::string text = run({"settings", "teacher_source"}, work).out;
  expect_contains(text, "auto; one of auto, live, table");
  expect_contains(text, "--teacher-source S");
  expect_contains(text, "[distill compare]");
}

// What a run of the method reads, and nothing of others.
TEST(Finding, KeysAreThoseOfTheCommandAndMethod) {
  TempFolder work;
  const std::string pcd = run({"distill", "--keys", "--method", "pcd"}, work).out;
  expect_contains(pcd, "method.stages");
  expect_contains(pcd, "teacher_source");
  EXPECT_EQ(pcd.find("method.beta"), std::string::npos) << "that is dkd's";
  const std::string train = run({"train", "--keys"}, work).out;
  EXPECT_EQ(train.find("teacher_source"), std::string::npos);
  EXPECT_EQ(train.find("method.stages"), std::string::npos);
}

TEST(Finding, InfoListsTheNetworksWithTheirSizes) {
  TempFolder work;
  const json all = json::parse(run({"info", "--json"}, work).out);
  ASSERT_EQ(all["networks"].size(), model_names().size() + detector_names().size());
  EXPECT_EQ(all["networks"].size(), all["models"].size());
  for (const json& network : all["networks"]) {
    const json one = json::parse(run({"info", network["model"].get<std::string>(), "--json"}, work).out);
    EXPECT_EQ(network["parameters"], one["parameters"]) << network;
    EXPECT_EQ(network["macs"], one["macs"]) << network;
    if (network["model"] == "resnet20") break;  // the rest is the same code
  }
  const std::string table = run({"info"}, work).out;
  for (const std::string& name : model_names()) expect_contains(table, "\n" + name + " ");
  for (const std::string& line : lines_of(table)) EXPECT_LE(line.size(), 80u) << line;
  const auto resnet56 = std::find_if(all["networks"].begin(), all["networks"].end(),
                                     [](const json& n) { return n["model"] == "resnet56"; });
  EXPECT_EQ((*resnet56)["published_top1"], find_published("resnet56-resnet20", "teacher")->top1);
}

TEST(Finding, PublishedNumbers) {
  TempFolder work;
  const std::string all = run({"published"}, work).out;
  for (const Published& row : published_results()) expect_contains(all, row.pair + " ");
  const std::string pair = run({"published", "resnet56-resnet20"}, work).out;
  expect_contains(pair, "resnet56-resnet20, CIFAR-100");
  expect_contains(pair, find_published("resnet56-resnet20", "kd")->source);
  expect_contains(run({"published", "MobileNetV1"}, work).out, "resnet50_imagenet-MobileNetV1, ImageNet");
  const json rows = json::parse(run({"published", "resnet8x4", "--json"}, work).out)["results"];
  std::set<std::string> pairs;
  for (const json& row : rows) pairs.insert(row["pair"]);
  EXPECT_TRUE(pairs.contains("resnet32x4-resnet8x4"));
  for (const std::string& name : pairs) EXPECT_TRUE(name.ends_with("-resnet8x4")) << name;
  const std::string dkd = run({"published", "dkd"}, work).out;
  for (const Published& row : published_results()) {
    const bool printed = dkd.find(row.pair + ", ") != std::string::npos;
    EXPECT_EQ(printed, find_published(row.pair, "dkd").has_value()) << row.pair;
  }
  expect_contains(failure(2, {"published", "resnet56-resnet21"}, work), "did you mean 'resnet56-resnet20'?");
}

TEST(Finding, LsListsRunsBelowAFolder) {
  FakeRuns runs;
  runs.add("a/kd", FakeRuns::settings("kd"), "finished", 51, 50.5);
  runs.add("a/pcd", FakeRuns::settings("pcd"), "stopped", 52, 49);
  runs.work().write("s/broken/config.toml", "epochs = \"many\"\n");
  const auto outcome = run({"ls", "s"}, runs.work());
  EXPECT_EQ(outcome.code, 0);
  const std::vector<std::string> lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 4u) << outcome.out;
  expect_contains(lines[2], "a/kd ");
  expect_contains(lines[2], "50.50");
  expect_contains(lines[3], "stopped");
  expect_contains(outcome.err, "broken/config.toml");
  const json listed = json::parse(run({"ls", "s", "--json"}, runs.work()).out)["runs"];
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[0]["method"], "kd");
  EXPECT_EQ(listed[0]["best"], 51);
  EXPECT_EQ(listed[2]["status"], "unreadable");
  // A run itself is one line; a folder without any says so.
  EXPECT_EQ(json::parse(run({"ls", "s/a/kd", "--json"}, runs.work()).out)["runs"].size(), 1u);
  std::filesystem::create_directories(runs.work() / "empty");
  expect_contains(run({"ls", "empty"}, runs.work()).err, "empty holds no runs");
  expect_contains(failure(3, {"ls", "nowhere"}, runs.work()), "nowhere: there is no such folder");
}

TEST(Finding, DiffNamesWhatDiffers) {
  FakeRuns runs;
  RunSettings kd = FakeRuns::settings("kd"), pcd = FakeRuns::settings("pcd");
  pcd.batch = 32;
  runs.add("kd", kd, {.best = 51, .last = 50, .data_hash = "aa"});
  runs.add("pcd", pcd, {.best = 51, .last = 48, .data_hash = "bb"});
  runs.add("again", kd, {.best = 51, .last = 50, .data_hash = "aa"});
  const json diff = json::parse(run({"diff", "s/kd", "s/pcd", "--json"}, runs.work()).out);
  EXPECT_EQ(diff["settings"]["batch"], (json{"64", "32"}));
  EXPECT_EQ(diff["settings"]["method.name"], (json{"kd", "pcd"}));
  EXPECT_EQ(diff["settings"]["method.stages"][0], "-") << "kd has no such key";
  EXPECT_FALSE(diff["settings"].contains("epochs"));
  EXPECT_EQ(diff["environment"]["data_hash"], (json{"aa", "bb"}));
  EXPECT_EQ(diff["first_epoch"], 2);
  EXPECT_EQ(diff["first_column"], "test_acc");
  EXPECT_EQ(diff["weights"], "different");
  const json same = json::parse(run({"diff", "s/kd", "s/again", "--json"}, runs.work()).out);
  EXPECT_TRUE(same["settings"].empty()) << same;
  EXPECT_EQ(same["first_epoch"], nullptr);
  EXPECT_EQ(same["common_epochs"], 2);
  EXPECT_EQ(same["weights"], "same");
  const std::string text = run({"diff", "s/kd", "s/again"}, runs.work()).out;
  expect_contains(text, "settings: the same\n");
  expect_contains(text, "epochs: the same numbers in all 2");
  expect_contains(text, "weights: same\n");
  expect_contains(run({"diff", "s/kd", "s/pcd"}, runs.work()).out,
                  "they differ from epoch 2 on, in test_acc");
  expect_contains(failure(2, {"diff", "s/kd"}, runs.work()), "expected two");
  expect_contains(failure(3, {"diff", "s/kd", "s"}, runs.work()), "is no run's folder");
}

// Settings that somebody changed under the seal are no settings of the run, for a list as for everything
// else.
TEST(Finding, LsAndDiffBelieveSealedSettingsOnly) {
  FakeRuns runs;
  runs.add("kd", FakeRuns::settings("kd"), {.best = 51, .last = 50});
  runs.add("edited", FakeRuns::settings("kd"), {.best = 51, .last = 50});
  const std::filesystem::path config = runs.folder() / "edited/config.toml";
  std::string text = content_of(config);
  const size_t at = text.find("batch = 64");
  ASSERT_NE(at, std::string::npos);
  runs.work().write("s/edited/config.toml", text.replace(at, 10, "batch = 32"));
  const json listed = json::parse(run({"ls", "s", "--json"}, runs.work()).out)["runs"];
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0]["status"], "unreadable");
  expect_contains(listed[0]["problem"], "edited/config.toml");
  EXPECT_EQ(listed[1]["status"], "finished");
  expect_contains(failure(3, {"diff", "s/kd", "s/edited"}, runs.work()), "edited/config.toml");
}

TEST(Finding, TheExampleOfAStudyIsOne) {
  TempFolder work;
  const std::string text = run({"compare", "--example"}, work).out;
  work.write("mine.toml", text);
  const Study study = read_study(work / "mine.toml");
  ASSERT_EQ(study.pairs.size(), 1u);
  EXPECT_EQ(study.pairs[0].methods.size(), 4u);
  EXPECT_EQ(study.seeds, 2);
  // What stands in it as a comment is valid too.
  std::string open;
  for (std::string line : lines_of(text)) {
    if (line.starts_with("# [[variants]]") || line.starts_with("# label") ||
        line.starts_with("# optimizer") || line.starts_with("# settings"))
      line = line.substr(2);
    open += line + "\n";
  }
  work.write("open.toml", open);
  const Study variants = read_study(work / "open.toml");
  ASSERT_EQ(variants.pairs.size(), 2u);
  EXPECT_EQ(variants.pairs[0].methods[0].settings.optimizer.lr, 0.05);
  EXPECT_EQ(variants.pairs[1].methods[0].settings.optimizer.lr, 0.1);
}

// Both forms, in both tables.
TEST(Finding, SettingsOfPairsAndVariantsStandAloneOrTogether) {
  TempFolder work;
  const auto lr_of = [&](const std::string& pair, const std::string& variant) {
    work.write("s.toml", "[[pairs]]\nteacher = \"resnet14\"\nstudent = \"resnet8\"\n" + pair +
                             "\n[[methods]]\nname = \"kd\"\n[[variants]]\nlabel = \"v\"\n" + variant + "\n");
    const RunSettings settings = read_study(work / "s.toml").pairs[0].methods[0].settings;
    return settings.optimizer.lr * 1000 + double(settings.batch);
  };
  EXPECT_EQ(lr_of("optimizer.lr = 0.5", "batch = 8"), 508);
  EXPECT_EQ(lr_of("settings = {optimizer.lr = 0.5}", "settings = {batch = 8}"), 508);
  EXPECT_EQ(lr_of("batch = 4\nsettings = {optimizer = {lr = 0.25}}", "optimizer.lr = 0.5"), 504);
  testing::expect_fault(Fault::usage, "did you mean 'batch'?", [&] { lr_of("bacth = 4", ""); });
}

TEST(Completion, OffersEveryOptionOfEveryCommand) {
  TempFolder work;
  const std::vector<std::string> names = command_names();
  ASSERT_GE(names.size(), 18u);
  const std::string help = run({"--help"}, work).out;
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    expect_contains(help, name + " ");
    EXPECT_EQ(run({name, "--help"}, work).code, 0);
    const std::vector<std::string> options = offered({name, "-"});
    EXPECT_GE(options.size(), 2u);
    // What the help declares at the beginning of a line or of its second column.
    const std::string text = run({name, "--help"}, work).out;
    static const std::regex declared("(\n  |[^ \n] {2,})(-[a-z],)?(--[a-z0-9-]+)");
    for (auto at = std::sregex_iterator(text.begin(), text.end(), declared); at != std::sregex_iterator();
         ++at)
      EXPECT_EQ(std::count(options.begin(), options.end(), (*at)[3].str()), 1) << (*at)[3];
  }
}

TEST(Completion, OffersWhatAValueMayBe) {
  EXPECT_TRUE(offers({"tr"}, "train"));
  EXPECT_FALSE(offers({"tr"}, "eval"));
  EXPECT_TRUE(offers({"help", "ev"}, "eval"));
  EXPECT_TRUE(offers({"distill", "--method", ""}, "pcd"));
  EXPECT_TRUE(offers({"distill", "--method=p"}, "--method=pcd"));
  EXPECT_TRUE(offers({"distill", "--student", "resnet8"}, "resnet8x4"));
  EXPECT_TRUE(offers({"train", "--device", ""}, "portable"));
  EXPECT_TRUE(offers({"train", "--quiet", "--set", "optimizer"}, "optimizer.lr="));
  EXPECT_TRUE(offers({"distill", "--set", "method.ranking="}, "method.ranking=none"));
  EXPECT_TRUE(offers({"loss", "--set", "stag"}, "stages="));
  EXPECT_FALSE(offers({"loss", "--method", ""}, "fitnet")) << "it reads features";
  EXPECT_TRUE(offers({"export", "--to", "o"}, "onnx"));
  EXPECT_TRUE(offers({"compare", ""}, "ablation"));
  EXPECT_TRUE(offers({"compare", ""}, ":files"));
  EXPECT_TRUE(
      offers({"train", "--recipe", "cifar100/resnet56-resnet20/p"}, "cifar100/resnet56-resnet20/pcd"));
  EXPECT_TRUE(offers({"published", "vgg"}, "vgg13-vgg8"));
  EXPECT_TRUE(offers({"data", ""}, "fetch"));
  EXPECT_TRUE(offers({"data", "v"}, "verify"));
  EXPECT_TRUE(offers({"data", "fetch", ""}, "cifar100"));
  EXPECT_TRUE(offers({"data", "pack", ""}, "folder:"));
  EXPECT_TRUE(offers({"data", "export", ""}, "scenes"));
  for (const char* set :
       {"synthetic", "cifar100:", "cifar10:", "folder:", "pack:", "npy:", "scenes", "coco:"})
    EXPECT_TRUE(offers({"train", "--data", ""}, set)) << set;
  EXPECT_FALSE(offers({"train", "--data", ""}, ":folders"));
  EXPECT_TRUE(offers({"train", "--data", "coco:"}, ":folders"));
  EXPECT_TRUE(offers({"train", "--data=pack:"}, ":files"));
  EXPECT_TRUE(offers({"ls", ""}, ":folders"));
  EXPECT_TRUE(offers({"train", "--out", ""}, ":folders"));
  EXPECT_TRUE(offers({"eval", "--weights", ""}, ":files"));
  EXPECT_EQ(offered({"frobnicate", ""}), std::vector<std::string>{});
}

// In the shell itself: the script is read, and the function asked as readline does.
TEST(Completion, WorksInBash) {
  TempFolder work;
  work.write("retort.bash", run({"completion", "bash"}, work).out);
  work.write("try.bash", "source ./retort.bash\ncompopt() { :; }\nCOMP_LINE=\"" + testing::program_file() +
                             " $1\" COMP_POINT=500\n_retort\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  const auto completed = [&](const std::string& line) {
    const std::string command =
        "cd '" + work.path().string() + "' && bash try.bash '" + line + "' > out 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return lines_of(content_of(work / "out"));
  };
  EXPECT_EQ(completed("publ"), std::vector<std::string>{"published"});
  EXPECT_EQ(completed("distill --method pcd-r"), std::vector<std::string>{"pcd-released"});
  // Behind a word break of readline, which replaces only what follows it.
  EXPECT_EQ(completed("train --device=on"), std::vector<std::string>{"onednn"});
  EXPECT_EQ(completed("distill --set method.ranking=n"), std::vector<std::string>{"none"});
  std::filesystem::create_directories(work / "runs here");
  EXPECT_EQ(completed("ls ru"), std::vector<std::string>{"runs here"});
  EXPECT_EQ(completed("train --data folder:ru"), std::vector<std::string>{"runs here"});
  EXPECT_EQ(completed("data list folder:ru"), std::vector<std::string>{"runs here"});
  // Another shell, where there is one, reads its own script without complaint.
  for (const std::string shell : {"zsh", "fish"}) {
    work.write("script", run({"completion", shell}, work).out);
    const std::string command = "command -v " + shell + " >/dev/null || exit 0; " + shell + " -n '" +
                                (work / "script").string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << shell;
  }
  expect_contains(failure(2, {"completion", "tcsh"}, work), "expected one of bash, zsh, fish");
}

TEST(Manual, HoldsEveryCommandOptionKeyAndMethod) {
  TempFolder work;
  const std::string page = run({"man"}, work).out;
  const auto holds = [&](const std::string& word) {
    std::string escaped;
    for (char c : word) escaped += c == '-' ? "\\-" : std::string(1, c);
    return page.find(escaped) != std::string::npos;
  };
  for (const std::string& name : command_names()) {
    EXPECT_TRUE(holds("retort " + name)) << name;
    for (const std::string& option : offered({name, "-"}))
      EXPECT_TRUE(holds(option)) << name << " " << option;
  }
  for (const KeySheet& key : key_sheets()) EXPECT_TRUE(holds("\n.B " + key.name + "\n")) << key.name;
  for (const MethodInfo& method : methods()) EXPECT_TRUE(holds("\n.B " + method.name + "\n")) << method.name;
  work.write("retort.1", page);
  const std::string command =
      "command -v groff >/dev/null || exit 0; cd '" + work.path().string() +
      "' && groff -Kutf8 -man -ww -Tutf8 retort.1 > shown 2> warnings; test ! -s warnings";
  EXPECT_EQ(std::system(command.c_str()), 0) << content_of(work / "warnings");
}

}  // namespace
}  // namespace retort
