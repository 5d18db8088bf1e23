// The program from outside: exit codes, what goes to stdout and what to stderr, bad input.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include <nlohmann/json.hpp>
#include <regex>

#include "datasets/formats/npy.h"
#include "distill/methods/registry.h"
#include "distill/run/run_folder.h"
#include "distill/settings/setting_keys.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

// Little enough for a test, and of 24 classes.
const std::string tiny = "synthetic:train=96,test=48";

std::vector<std::string> training(const std::string& out) {
  return {"train", "--model", "resnet8", "--data", tiny, "--epochs", "1", "--batch", "32", "--out", out};
}

// A folder with a trained run "t" in it, made once.
const TempFolder& trained() {
  static const TempFolder folder;
  static const Outcome outcome = run(training("t"), folder);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return folder;
}

TEST(Program, HelpFitsAScreenAndBeginsWithExamples) {
  TempFolder work;
  for (const char* command :
       {"",          "train",  "distill", "compare",   "eval",     "predict", "loss",
        "info",      "data",   "import",  "export",    "settings", "lesson",  "explain",
        "published", "report", "check",   "coco-eval", "ls",       "diff",    "bench"}) {
    SCOPED_TRACE(command);
    std::vector<std::string> arguments = {"--help"};
    if (*command) arguments.insert(arguments.begin(), command);
    const Outcome outcome = run(arguments, work);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    std::istringstream lines(outcome.out);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      EXPECT_LE(line.size(), 80u) << line;
    }
    EXPECT_LE(count, 24);
    EXPECT_TRUE(outcome.out.substr(outcome.out.find("\n\n")).starts_with("\n\n  retort "));
  }
}

TEST(Program, EveryFlagOfTheKeysIsAccepted) {
  TempFolder work;
  const std::string help = run({"distill", "--help"}, work).out;
  for (const SettingKey& key : setting_keys()) {
    if (!key.flag.empty() && key.name != "model") expect_contains(help, key.flag);
  }
  const Outcome keys = run({"distill", "--keys"}, work);
  EXPECT_EQ(keys.code, 0);
  expect_contains(keys.out, "method.temperature");
  expect_contains(keys.out, "schedule.milestones");
}

TEST(Program, HelpIsACommandToo) {
  TempFolder work;
  EXPECT_EQ(run({"help"}, work).out, run({"--help"}, work).out);
  EXPECT_EQ(run({"help", "train"}, work).out, run({"train", "--help"}, work).out);
  expect_contains(failure(2, {"help", "trian"}, work), "did you mean 'train'?");
}

TEST(Program, Version) {
  TempFolder work;
  const std::string line = run({"--version"}, work).out;
  const std::regex form("retort " RETORT_PROJECT_VERSION
                        " \\((unknown|[0-9a-f]{40}|[0-9a-f]{40}, changed)\\)\n");
  EXPECT_TRUE(std::regex_match(line, form)) << line;
  const json object = json::parse(run({"--version", "--json"}, work).out);
  EXPECT_EQ(object["version"], RETORT_PROJECT_VERSION);
  expect_contains(
      line, "(" + object["commit"].get<std::string>() + (object["changed"].get<bool>() ? ", changed)" : ")"));
}

TEST(Program, UnknownNamesNameTheNearest) {
  TempFolder work;
  expect_contains(failure(2, {"trian"}, work), "did you mean 'train'?");
  expect_contains(failure(2, {"--verison"}, work), "did you mean '--version'?");
  expect_contains(failure(2, {"train", "--epohcs=3"}, work),
                  "unknown option '--epohcs'; did you mean '--epochs'?");
  expect_contains(failure(2, {"info", "resnet21"}, work), "did you mean 'resnet20'?");
  expect_contains(failure(2, {"distill", "--method", "pdc"}, work), "did you mean 'pcd'?");
  expect_contains(failure(2, {"train", "--set", "epoch=3"}, work), "did you mean 'epochs'?");
  expect_contains(failure(2, {"loss", "--set", "stage=3"}, work), "did you mean 'stages'?");
}

TEST(Program, AKeyTypedAsAnOptionIsNamed) {
  TempFolder work;
  expect_contains(failure(2, {"distill", "--temperature", "4"}, work), "--set method.temperature=VALUE");
  expect_contains(failure(2, {"distill", "--momentum=0.8"}, work),
                  "it is a key: --set optimizer.momentum=VALUE or --set method.momentum=VALUE");
  expect_contains(failure(2, {"train", "--weight-decay", "1"}, work), "--set optimizer.weight_decay=VALUE");
  expect_contains(failure(2, {"compare", "quick", "--lr", "1"}, work), "--set optimizer.lr=VALUE");
  expect_contains(failure(2, {"loss", "--temperature", "4"}, work), "it is a key: --set temperature=VALUE");
  EXPECT_EQ(failure(2, {"compare", "quick", "--model", "resnet8"}, work).find("--set"), std::string::npos);
}

TEST(Program, AnOptionThatWouldChangeNothingIsRefused) {
  TempFolder work;
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& words) {
    expect_contains(failure(2, arguments, work), words);
  };
  const std::filesystem::path t = trained() / "t";
  refused({"export", t, "--to", "onnx", "-o", "t.onnx", "--name", "x"}, "--name is of --to c");
  refused({"info", t, "--classes", "5"}, "--classes is of a network's name");
  refused({"info", "resnet8", "--model", "resnet8"}, "--model is of a file");
  refused({"info", "--model", "resnet8"}, "--model is of a file");
  refused({"info", "resnet8", "--peak"}, "expected one of them");
  refused({"info", "--methods", "--classes", "5"}, "--classes is of networks");
  refused({"train", "--model", "resnet8", "--parallel", "2"}, "--parallel is for several seeds");
  refused({"compare", "quick", "--example"}, "--example prints a study");
  refused({"compare", "quick", "--set", "command=train"}, "command is the study's to say");
  refused({"report", "x", "--mean", "0 0 0"}, "--mean and --std go together");
}

TEST(Program, AWordThatIsNoSlipGetsTheList) {
  TempFolder work;
  expect_contains(failure(2, {"version"}, work), "did you mean '--version'?");
  expect_contains(failure(2, {"frobnicate"}, work), "expected one of train, distill, ");
  expect_contains(failure(2, {"train", "--frobnicate"}, work), "`retort train --help` lists all");
  expect_contains(failure(2, {"loss", "--method", "PCD"}, work), "did you mean 'pcd'?");
  expect_contains(failure(2, {"loss", "--method", "frobnicate"}, work), "expected one of ce, kd, ");
  expect_contains(failure(2, {"train", "--model", "xyz"}, work), "`retort info` lists all");
}

TEST(Program, AnArgumentThatStandsAlone) {
  TempFolder work;
  expect_contains(failure(2, {"train", "resnet8"}, work), "a network is named with --model resnet8");
  expect_contains(failure(2, {"distill", "resnet8"}, work), "--student resnet8");
  expect_contains(failure(2, {"train", "resnt8"}, work), "did you mean --model resnet8?");
  expect_contains(failure(2, {"train", "my.toml"}, work), "--config my.toml");
  expect_contains(failure(2, {"train", "t"}, trained()), "--resume t");
  expect_contains(failure(2, {"distill", "t"}, trained()), "--teacher t");
}

TEST(Program, EmptyValuesAndStandardOutputAreSaid) {
  TempFolder work;
  for (const char* option : {"--out", "--config", "--resume", "--data", "--init"})
    expect_contains(failure(2, {"train", "--model", "resnet8", option, ""}, work), "is empty");
  expect_contains(failure(2, {"export", "t", "--to", "onnx", "-o", "-"}, trained()),
                  "nothing of this goes to stdout");
  expect_contains(failure(2, {"predict", "--weights", "t", "--logits", "-", "x.npy"}, trained()),
                  "--logits is '-'");
  EXPECT_FALSE(std::filesystem::exists(trained() / "-"));
}

TEST(Program, ShortVersion) {
  TempFolder work;
  EXPECT_EQ(run({"-V"}, work).out, run({"--version"}, work).out);
}

TEST(Program, QuietShowsErrorsAndNotesAlone) {
  TempFolder work;
  std::vector<std::string> arguments = training("q");
  const std::string loud = run(arguments, work).err;
  for (const char* part :
       {"network  resnet8", "data     synthetic", "device   ", "folder   q; ", "epoch 1/1"})
    expect_contains(loud, part);
  arguments.insert(arguments.end(), {"--quiet", "--force"});
  const Outcome quiet = run(arguments, work);
  EXPECT_EQ(quiet.code, 0) << quiet.err;
  EXPECT_EQ(quiet.err.find("epoch 1/1"), std::string::npos) << quiet.err;
  EXPECT_EQ(quiet.err.find("network"), std::string::npos) << quiet.err;
  expect_contains(quiet.err, "schedule.milestones");
}

TEST(Program, RecipesByName) {
  TempFolder work;
  const std::string list = run({"distill", "--recipe", "list"}, work).out;
  for (const char* name : {"cifar100/PAIR/METHOD", "resnet56-resnet20", " pcd ", "cifar100/teachers/MODEL"})
    expect_contains(list, name);
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;

  const Outcome composed =
      run({"distill", "--recipe", "cifar100/resnet56-resnet20/pcd", "--epochs", "3", "--print-config"}, work);
  EXPECT_EQ(composed.code, 0) << composed.err;
  for (const char* line :
       {"model = \"resnet20\"", "teacher_model = \"resnet56\"", "name = \"pcd\"", "epochs = 3"})
    expect_contains(composed.out, line);
  // A file that says the same.
  work.write("c.toml", composed.out);
  EXPECT_EQ(run({"distill", "--config", "c.toml", "--print-config"}, work).out, composed.out);
  expect_contains(run({"train", "--recipe", "cifar100/teachers/resnet56", "--print-config"}, work).out,
                  "model = \"resnet56\"");
  expect_contains(failure(2, {"distill", "--recipe", "cifar100/resnet56-resnet20/pdc"}, work),
                  "did you mean 'cifar100/resnet56-resnet20/pcd'?");
  expect_contains(failure(2, {"distill", "--recipe", "nothing"}, work), "--recipe list shows all");
  EXPECT_FALSE(std::filesystem::exists(work / "runs"));
}

TEST(Program, UsageErrors) {
  TempFolder work;
  failure(2, {}, work);
  expect_contains(failure(2, {"train", "--epochs"}, work), "--epochs needs a value");
  expect_contains(failure(2, {"train", "--epochs", "x"}, work), "epochs is 'x', expected an integer");
  expect_contains(failure(2, {"train", "--set", "epochs"}, work), "expected KEY=VALUE");
  expect_contains(failure(2, {"train", "more"}, work), "'more' is one argument too many");
  expect_contains(failure(2, {"train"}, work), "--model");
  expect_contains(failure(2, {"distill", "--student", "resnet8"}, work), "--teacher");
  expect_contains(failure(2, {"train", "--model", "resnet8", "--seeds", "0"}, work), "--seeds is '0'");
  expect_contains(failure(2, {"eval"}, work), "--weights");
  expect_contains(failure(2, {"info", "resnet8", "resnet20"}, work), "expected one");
  expect_contains(failure(2, {"train", "--method", "pcd"}, work), "it belongs to `retort distill`");
  expect_contains(failure(2, {"distill", "--model", "resnet8"}, work), "--student");
  expect_contains(failure(2, {"train", "--workers", "1000"}, work), "and at most 256");
  expect_contains(failure(2, {"train", "--epochs", "9999999"}, work), "and at most 1000000");
  expect_contains(failure(2, {"predict", "--weights", "x"}, work), "no image");
  expect_contains(failure(2, {"data", "fetch", "cifar101", "."}, work), "did you mean 'cifar100'?");
  expect_contains(failure(2, {"train", "--model", "resnet8", "--data", "cifar1000:x"}, work), "cifar1000");
}

TEST(Program, ResultsThatCannotBeWrittenAreFailures) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
  const std::string command = testing::program_file() + " info resnet8 > /dev/full 2> /dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 4);
}

TEST(Program, AFullDiskEndsWith4AndKeepsWhatWasThere) {
  TempFolder work;
  const std::string command = "cd " + work.path().string() + " && ulimit -f 20 && exec " +
                              testing::program_file() + " train --model resnet8 --data " + tiny +
                              " --epochs 1 --out a > out 2> err";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 4) << content_of(work / "err");
  EXPECT_EQ(content_of(work / "out"), "");
  expect_contains(content_of(work / "err"), "last.safetensors");
  EXPECT_FALSE(std::filesystem::exists(RunFolder::last_of(work / "a")));
}

TEST(Program, ADeviceThatIsNotThere) {
  TempFolder work;
  const std::vector<std::string> arguments = {"train", "--model",  "resnet8", "--data",
                                              tiny,    "--device", "cuda"};
  const Outcome outcome = run(arguments, work);
  if (outcome.code == 0) GTEST_SKIP() << "there is a CUDA device";
  EXPECT_EQ(outcome.code, 7) << outcome.err;
  expect_contains(outcome.err, "device cuda: ");
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST(Info, CountsParametersAndMultiplyAdds) {
  TempFolder work;
  const json wide = json::parse(run({"info", "resnet32x4", "--json"}, work).out);
  EXPECT_EQ(wide["model"], "resnet32x4");
  EXPECT_EQ(wide["parameters"], 7433860);
  EXPECT_NEAR(wide["macs"].get<double>(), 1083.0e6, 0.05e6);
  int64_t parameters = 0, macs = 0;
  for (const json& layer : wide["layers"]) {
    parameters += layer["parameters"].get<int64_t>();
    macs += layer["macs"].get<int64_t>();
  }
  EXPECT_EQ(parameters, wide["parameters"]);
  EXPECT_EQ(macs, wide["macs"]);
  EXPECT_EQ(wide["layers"].front()["output"], json({32, 32, 32}));
  EXPECT_EQ(wide["layers"].back()["output"], json({100}));

  const Outcome plain = run({"info", "resnet8", "--classes", "10"}, work);
  EXPECT_EQ(plain.err, "");
  expect_contains(plain.out, "resnet8: 10 classes");
  const json file = json::parse(run({"info", "t", "--json"}, trained()).out);
  EXPECT_EQ(file["model"], "resnet8");
  EXPECT_EQ(file["classes"], 24);
}

TEST(Info, ListsTheMethods) {
  const TempFolder work;
  const json all = json::parse(run({"info", "--methods", "--json"}, work).out)["methods"];
  std::map<std::string, json> of;
  for (const json& method : all) of[method["name"]] = method;
  EXPECT_EQ(of.size(), methods().size());
  EXPECT_EQ(of["kd"]["reads"], "logits");
  EXPECT_EQ(of["kd"]["learned"], 0);
  EXPECT_EQ(of["kd"]["stored_logits"], true);
  EXPECT_EQ(of["kd"]["devices"], "yes");
  EXPECT_EQ(of["ctkd"]["learned"], 1);
  EXPECT_EQ(of["crd"]["devices"], "no");
  EXPECT_EQ(of["dist"]["devices"], "within a part");
  EXPECT_EQ(of["crld"]["stored_logits"], false);
  for (const char* method : {"ce", "kd", "pcd", "reviewkd"}) EXPECT_EQ(of[method]["boxes"], true) << method;
  for (const char* method : {"swap", "fitnet", "crd"}) EXPECT_EQ(of[method]["boxes"], false) << method;
  EXPECT_GT(of["vid"]["learned"], 0);
  EXPECT_EQ(of["ls-ce"]["reads"], "labels");
  const Outcome text = run({"info", "--methods"}, work);
  expect_contains(text.out, "arXiv:1907.09682");
}

TEST(Info, ListsTheNetworks) {
  TempFolder work;
  const Outcome outcome = run({"info"}, work);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("network ")) << outcome.out;
  expect_contains(outcome.out, "\nMobileNetV2 ");
}

class Loss : public ::testing::Test {
 protected:
  Loss() {
    const std::vector<double> t = {2, .5, -1, 0, 1, -.5, 0, 3, -2, 1, -1, .5};
    const std::vector<double> s = {1, 1, -.5, .2, .3, -1, .5, 1.5, -1, 1.2, -.2, 0};
    const std::vector<int64_t> y = {0, 3};
    write_npy(work_ / "zt.npy", {2, 6}, std::span(t));
    write_npy(work_ / "zs.npy", {2, 6}, std::span(s));
    write_npy(work_ / "y.npy", {2}, std::span(y));
    const std::vector<float> t32(t.begin(), t.end()), s32(s.begin(), s.end());
    write_npy(work_ / "zt32.npy", {2, 6}, std::span(t32));
    write_npy(work_ / "zs32.npy", {2, 6}, std::span(s32));
  }

  std::vector<std::string> command(const std::string& method, std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"loss", "--method", method, "--student", "zs.npy", "--teacher", "zt.npy"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  json result(const std::string& method, std::vector<std::string> more = {}) const {
    more.push_back("--json");
    const Outcome outcome = run(command(method, more), work_);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return json::parse(outcome.out);
  }
  double value(const std::string& method, std::vector<std::string> more = {}) const {
    return result(method, std::move(more))["loss"];
  }

  TempFolder work_;
};

TEST_F(Loss, ReferenceValues) {
  const double to = 5.1e-11;
  EXPECT_NEAR(value("pcd", {"--set", "temperature=4", "--set", "stages=3"}), 0.0556365667, to);
  EXPECT_NEAR(value("pcd", {"--set", "temperature=1"}), 0.1138900089, to);
  EXPECT_NEAR(value("pcd", {"--set", "method.temperature=1", "--set", "stages=5"}), 0.1221285261, to);
  EXPECT_NEAR(value("pcd-released", {"--set", "temperature=4", "--set", "stages=3"}), 3.4995279038, to);
  EXPECT_NEAR(value("pcd-released", {"--set", "temperature=1"}), 2.1444571895, to);
  EXPECT_NEAR(value("kd", {"--set", "alpha=1"}), 0.3052815074, to);
  EXPECT_NEAR(value("kd"), 0.9 * 0.3052815074, to);
  EXPECT_NEAR(value("dkd", {"--labels", "y.npy"}), 2.5856637907, to);
  EXPECT_NEAR(value("dist"), 5.2052517651, to);
  EXPECT_NEAR(value("pcd", {"--set", "standardize=true", "--set", "temperature=1"}), 0.0771047648, to);
}

TEST_F(Loss, TermsAddUpAndTextHasTenDigits) {
  const json dkd = result("dkd", {"--labels", "y.npy"});
  double sum = 0;
  for (const auto& [name, term] : dkd["terms"].items()) sum += term.get<double>();
  EXPECT_EQ(dkd["terms"].size(), 2u);
  EXPECT_DOUBLE_EQ(sum, dkd["loss"]);
  const Outcome outcome = run(command("pcd"), work_);
  expect_contains(outcome.out, "loss  0.05563656");
  EXPECT_GE(outcome.out.substr(outcome.out.find("loss  ") + 6).size(), 15u);
}

TEST_F(Loss, WritesTheGradientInTheTypeOfTheStudent) {
  result("pcd", {"--grad", "g.npy"});
  const NpyArray gradient = read_npy(work_ / "g.npy");
  EXPECT_EQ(gradient.shape, (std::vector<int64_t>{2, 6}));
  const std::vector<double> expected = {-.0101255898, .0110874303,  .0032283653, .0032749351,
                                        -.0038598215, -.0036053193, .0068698436, -.0873923177,
                                        .0495371350,  .0062310035,  .0298990062, -.0051446706};
  const auto values = gradient.values<double>();
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], 5.1e-11) << i;

  const Outcome narrow =
      run({"loss", "--student", "zs32.npy", "--teacher", "zt32.npy", "--grad", "g32.npy", "--json"}, work_);
  EXPECT_NEAR(json::parse(narrow.out)["loss"].get<double>(), 0.0556365667, 1e-7);
  EXPECT_EQ(read_npy(work_ / "g32.npy").type, DType::f32);
}

TEST_F(Loss, BadInput) {
  const std::vector<double> nan = {0, std::nan(""), 0, 0};
  write_npy(work_ / "nan.npy", {2, 2}, std::span(nan));
  expect_contains(failure(3, {"loss", "--student", "nan.npy", "--teacher", "nan.npy"}, work_),
                  "element [0, 1] is nan");
  expect_contains(failure(3, {"loss", "--student", "zs.npy", "--teacher", "nan.npy"}, work_), "same shape");
  expect_contains(failure(3, {"loss", "--student", "y.npy", "--teacher", "zt.npy"}, work_),
                  "expected f32, f64 or f16");
  expect_contains(failure(3, {"loss", "--student", "none.npy", "--teacher", "zt.npy"}, work_), "none.npy");
  work_.write("text.npy", "no array");
  expect_contains(failure(3, {"loss", "--student", "text.npy", "--teacher", "zt.npy"}, work_), "text.npy");
  expect_contains(failure(2, command("dkd"), work_), "--labels");
  expect_contains(failure(2, command("pcd", {"--set", "stages=7"}), work_), "stages is 7");
  expect_contains(failure(2, {"loss", "--student", "zs.npy"}, work_), "--teacher");
  const std::vector<int64_t> labels = {0, 6};
  write_npy(work_ / "y6.npy", {2}, std::span(labels));
  expect_contains(failure(3, command("dkd", {"--labels", "y6.npy"}), work_), "label 1 is 6");
}

TEST_F(Loss, HelpNamesOnlyTheMethodsItComputes) {
  const std::string help = run({"loss", "--help"}, work_).out;
  expect_contains(help, "pcd-released");
  EXPECT_EQ(help.find("reviewkd"), std::string::npos);
  expect_contains(failure(2, command("fitnet"), work_), "expected a method that compares logits");
}

TEST_F(Loss, MethodsThatReadMoreThanTwoFilesOfLogits) {
  const std::vector<int64_t> labels = {0, 3};
  write_npy(work_ / "y.npy", {2}, std::span(labels));
  expect_contains(failure(2, command("wkd-l", {"--labels", "y.npy"}), work_), "--similarity");
  std::vector<double> alike;
  for (int i = 0; i < 6; ++i) {
    for (int j = 0; j < 6; ++j) alike.push_back(1 - std::abs(i - j) / 10.0);
  }
  write_npy(work_ / "a.npy", {6, 6}, std::span<const double>(alike));
  write_npy(work_ / "wide.npy", {4, 9}, std::span<const double>(alike));
  const auto wkd = [&](const std::string& file) {
    return command("wkd-l", {"--labels", "y.npy", "--similarity", file, "--json"});
  };
  expect_contains(failure(3, wkd("wide.npy"), work_), "as many rows and columns");
  EXPECT_NEAR(double(json::parse(run(wkd("a.npy"), work_).out)["loss"]), 13.3975979835, 1e-5);
  expect_contains(failure(2, command("crld"), work_), "two views");
  expect_contains(failure(2, command("crld", {"--strong-student", "zs.npy"}), work_), "--strong-teacher");
  const Outcome two =
      run(command("crld", {"--strong-student", "zs.npy", "--strong-teacher", "zt.npy", "--json"}), work_);
  EXPECT_GT(double(json::parse(two.out)["loss"]), 0) << two.err;
}

TEST_F(Loss, TheGradientDoesNotReplaceWhatWasRead) {
  const std::string before = content_of(work_ / "zs.npy");
  expect_contains(failure(2, command("pcd", {"--grad", "./zs.npy"}), work_), "name another file");
  EXPECT_EQ(content_of(work_ / "zs.npy"), before);
}

TEST(Train, PrintsTheResultAndLeavesTheRun) {
  const TempFolder& work = trained();
  const std::filesystem::path folder = work / "t";
  for (const char* file :
       {"config.toml", "env.json", "metrics.csv", "log.txt", "summary.json", "plots/curves.svg",
        "checkpoints/last.safetensors", "checkpoints/best.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(folder / file)) << file;
  }
  const json environment = json::parse(content_of(folder / "env.json"));
  EXPECT_EQ(environment["arguments"][0], "retort");
  EXPECT_EQ(environment["arguments"][1], "train");

  const Outcome again = run({"train", "--resume", "t", "--json"}, work);
  EXPECT_EQ(again.code, 0) << again.err;
  const json result = json::parse(again.out);
  EXPECT_EQ(result["run"], "t");
  EXPECT_EQ(result["status"], "finished");
  EXPECT_TRUE(result["best"].is_number() && result["last"].is_number() && result["seconds"].is_number());
}

TEST(Train, SaysWhatItScales) {
  TempFolder work;
  const Outcome outcome = run(training("a"), work);
  expect_contains(
      outcome.err,
      "lr stays the same for the 1 epoch: the recipe lowers it after 150, 180, 210 of 240 epochs");
  expect_contains(outcome.err, "epoch 1/1");
  expect_contains(outcome.out, "the best test epoch");
  expect_contains(outcome.out, "run   a");
}

TEST(Train, SaysThatARunIsTooShortForAProfile) {
  TempFolder work;
  std::vector<std::string> arguments = training("a");
  arguments.push_back("--profile");
  expect_contains(run(arguments, work).err, "no profile: the run had 3 steps, 25 are needed");
}

TEST(Train, ItsConfigRunsAgainAsItIs) {
  const TempFolder& work = trained();
  const Outcome outcome = run({"train", "--config", "t/config.toml", "--out", "again", "--json"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(content_of(work / "again/config.toml"), content_of(work / "t/config.toml"));
  EXPECT_EQ(json::parse(outcome.out)["weights_hash"],
            json::parse(content_of(work / "t/summary.json"))["weights_hash"]);
  expect_contains(failure(2, {"distill", "--config", "t/config.toml"}, work), "is of `retort train`");
  expect_contains(failure(2, {"train", "--set", "command=distill"}, work), "use `retort distill`");
}

TEST(Train, AnExistingFolderIsRefusedWithoutForce) {
  TempFolder work;
  ASSERT_EQ(run(training("a"), work).code, 0);
  expect_contains(failure(2, training("a"), work), "--resume");
  std::vector<std::string> forced = training("a");
  forced.push_back("--force");
  EXPECT_EQ(run(forced, work).code, 0);
  work.write("mine/notes.txt", "keep me");
  forced[forced.size() - 2] = "mine";
  expect_contains(failure(2, forced, work), "--force deletes nothing");
  EXPECT_EQ(content_of(work / "mine/notes.txt"), "keep me");
  expect_contains(failure(2, {"train", "--resume", "a", "--lr", "3"}, work), "--lr cannot be given");
  expect_contains(failure(3, {"train", "--resume", "none"}, work), "none");
  expect_contains(failure(3, {"train", "--resume", "mine"}, work), "mine");
}

TEST(Train, ARunThatNeverBeganLeavesNoFolder) {
  const TempFolder& work = trained();
  expect_contains(failure(2,
                          {"distill", "--teacher", "t", "--student", "resnet8", "--data", tiny, "--out", "a",
                           "--set", "method.stages=25"},
                          work),
                  "stages is 25, the logits have 24 classes");
  expect_contains(
      failure(3, {"train", "--model", "resnet8", "--init", "none.safetensors", "--out", "a"}, work), "none");
  EXPECT_FALSE(std::filesystem::exists(work / "a"));
}

TEST(Train, SeveralSeeds) {
  TempFolder work;
  std::vector<std::string> arguments = training("a");
  arguments.insert(arguments.end(), {"--seed", "5", "--seeds", "2"});
  const Outcome outcome = run(arguments, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.out, "mean");
  expect_contains(outcome.out, "±");
  EXPECT_TRUE(RunFolder::is_run(work / "a/seed-5"));
  EXPECT_TRUE(RunFolder::is_run(work / "a/seed-6"));
  failure(2, arguments, work);

  std::filesystem::remove_all(work / "a/seed-6");
  const Outcome resumed = run({"train", "--resume", "a", "--json"}, work);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_TRUE(RunFolder::is_run(work / "a/seed-6"));
  const json result = json::parse(resumed.out);
  ASSERT_EQ(result["runs"].size(), 2u);
  EXPECT_DOUBLE_EQ(result["best"],
                   (result["runs"][0]["best"].get<double>() + result["runs"][1]["best"].get<double>()) / 2);
  EXPECT_NE(result["runs"][0]["weights_hash"], result["runs"][1]["weights_hash"]);

  // Side by side they end at the same weights.
  arguments = training("b");
  arguments.insert(arguments.end(), {"--seed", "5", "--seeds", "3", "--parallel", "2", "--json"});
  const Outcome together = run(arguments, work);
  ASSERT_EQ(together.code, 0) << together.err;
  const json both = json::parse(together.out);
  ASSERT_EQ(both["runs"].size(), 3u);
  for (size_t i : {0u, 1u}) EXPECT_EQ(both["runs"][i]["weights_hash"], result["runs"][i]["weights_hash"]);
}

TEST(Train, APrecisionThatTheDeviceDoesNotHave) {
  TempFolder work;
  for (const char* precision : {"tf32", "bf16"}) {
    std::vector<std::string> arguments = training("a");
    arguments.insert(arguments.end(), {"--device", "portable", "--precision", precision});
    expect_contains(failure(2, arguments, work), "computes in fp32 only");
    EXPECT_FALSE(std::filesystem::exists(work / "a"));
  }
  std::vector<std::string> arguments = training("a");
  arguments.insert(arguments.end(), {"--device", "portable", "--eager"});
  const Outcome outcome = run(arguments, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(content_of(work / "a/config.toml"), "precision = \"fp32\"");
}

TEST(Train, ALossThatIsNotFiniteExitsWith5) {
  TempFolder work;
  std::vector<std::string> arguments = training("a");
  arguments.insert(arguments.end(), {"--lr", "1e30"});
  const Outcome outcome = run(arguments, work);
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(json::parse(content_of(work / "a/summary.json"))["status"], "diverged");
  // There is nothing to go on from, and nobody says that there is.
  EXPECT_EQ(outcome.err.find("was kept"), std::string::npos) << outcome.err;
  expect_contains(outcome.err, "A smaller --lr may help");
  expect_contains(failure(2, training("a"), work), "ended before its first checkpoint, --force");
}

TEST(Train, WhatSettingsMeanOtherwiseThanTheyReadIsSaid) {
  TempFolder work;
  std::vector<std::string> arguments = training("a");
  arguments.insert(arguments.end(), {"--batch", "5000"});
  const Outcome outcome = run(arguments, work);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.err, "every step has them all");
  arguments = {"distill", "--student", "resnet8", "--teacher", "a", "--method", "kd", "--set",
               "method.temperature=1e30"};
  expect_contains(failure(2, arguments, work), "temperature");
}

TEST(Distill, EveryMethodRuns) {
  const TempFolder& work = trained();
  for (const char* method : {"ce", "kd", "dkd", "dist", "pcd", "pcd-released"}) {
    SCOPED_TRACE(method);
    const std::string out = std::string("d-") + method;
    const Outcome outcome = run({"distill", "--teacher", "t:best", "--student", "resnet8", "--method", method,
                                 "--data", tiny, "--epochs", "1", "--out", out, "--json"},
                                work);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    if (std::string(method) != "ce") expect_contains(outcome.err, "teacher resnet8 (t:best): top-1");
    EXPECT_EQ(json::parse(outcome.out)["method"], method);
  }
}

TEST(Eval, AgreesWithTheRun) {
  const TempFolder& work = trained();
  const json summary = json::parse(content_of(work / "t/summary.json"));
  const Outcome outcome = run({"eval", "--weights", "t", "--json", "--per-class"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["top1"], summary["last"]["top1"]);
  EXPECT_EQ(result["top5"], summary["last"]["top5"]);
  EXPECT_NEAR(result["loss"].get<double>(), summary["last"]["loss"].get<double>(), 1e-6);
  EXPECT_EQ(result["n"], 48);
  ASSERT_EQ(result["per_class"].size(), 24u);
  double correct = 0;
  for (const json& one : result["per_class"])
    correct += one["top1"].get<double>() / 100 * one["n"].get<double>();
  EXPECT_NEAR(correct, 48 * result["top1"].get<double>() / 100, 1e-9);
}

TEST(Eval, DoesNotGuessTheData) {
  const TempFolder& work = trained();
  const std::string weights = "t/checkpoints/last.safetensors";
  const Outcome drawn = run({"eval", "--weights", weights, "--json"}, work);
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  const SafeTensors file = read_safetensors(work / weights);
  std::vector<TensorView> tensors;
  for (const HostTensor& tensor : file.tensors) tensors.push_back(tensor.view());
  std::map<std::string, std::string> metadata = file.metadata;
  metadata["data"] = "cifar100";
  write_safetensors(work / "other.safetensors", metadata, tensors);
  expect_contains(failure(2, {"eval", "--weights", "other.safetensors"}, work),
                  "where its cifar100 images lie");
  const Outcome noted = run({"eval", "--weights", "other.safetensors", "--data", tiny}, work);
  EXPECT_EQ(noted.code, 0);
  expect_contains(noted.err, "was trained on cifar100, this is synthetic");
}

TEST(Eval, NormalisesAsTheWeightsWereTrained) {
  const TempFolder& work = trained();
  const SafeTensors file = read_safetensors(work / "t/checkpoints/last.safetensors");
  std::vector<TensorView> tensors;
  for (const HostTensor& tensor : file.tensors) tensors.push_back(tensor.view());
  const auto loss = [&](const char* key, const char* numbers) {
    std::map<std::string, std::string> metadata = file.metadata;
    if (numbers) metadata[key] = numbers;
    write_safetensors(work / "n.safetensors", metadata, tensors);
    const Outcome outcome = run({"eval", "--weights", "n.safetensors", "--data", tiny, "--json"}, work);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out)["loss"].get<double>();
  };
  const double as_trained = loss("mean", nullptr);
  EXPECT_EQ(as_trained, loss("mean", file.metadata.at("mean").c_str()));
  EXPECT_NE(as_trained, loss("mean", "0.9 0.9 0.9"));
  EXPECT_NE(as_trained, loss("std", "0.1 0.1 0.1"));
  std::map<std::string, std::string> metadata = file.metadata;
  metadata["std"] = "0.2 0 0.2";
  write_safetensors(work / "n.safetensors", metadata, tensors);
  expect_contains(failure(3, {"eval", "--weights", "n.safetensors", "--data", tiny}, work), "more than 0");
}

// As in training: what the device does not compute in is refused before anything is read.
TEST(Eval, PrecisionAsInTraining) {
  const TempFolder& work = trained();
  const std::vector<float> pixels(32 * 32 * 3, 0.5f);
  write_npy(work / "one.npy", {1, 32, 32, 3}, std::span(pixels));
  for (std::vector<std::string> command :
       {std::vector<std::string>{"eval", "--weights", "t"}, {"predict", "--weights", "t", "one.npy"}}) {
    SCOPED_TRACE(command[0]);
    command.insert(command.end(), {"--json", "--device", "portable"});
    const Outcome plain = run(command, work);
    command.insert(command.end(), {"--precision", "fp32"});
    const Outcome asked = run(command, work);
    EXPECT_EQ(asked.code, 0) << asked.err;
    EXPECT_EQ(asked.out, plain.out);
    for (const char* precision : {"tf32", "bf16", "fp16"}) {
      command.back() = precision;
      expect_contains(failure(2, command, work), "computes in fp32 only");
    }
    command.back() = "fp8";
    expect_contains(failure(2, command, work), "expected fp32, tf32, bf16 or fp16");
    expect_contains(run({command[0], "--help"}, work).out, "--precision");
  }
  expect_contains(
      failure(2, {"eval", "--weights", "nowhere", "--device", "portable", "--precision", "bf16"}, work),
      "computes in fp32 only");
}

TEST(Predict, KeepsWhatItReads) {
  const TempFolder& work = trained();
  const std::vector<float> pixels(32 * 32 * 3, 0.25f);
  write_npy(work / "one.npy", {1, 32, 32, 3}, std::span(pixels));
  const std::string before = content_of(work / "one.npy");
  expect_contains(failure(2, {"predict", "--weights", "t", "one.npy", "--logits", "./one.npy"}, work),
                  "name another file");
  EXPECT_EQ(content_of(work / "one.npy"), before);
}

TEST(Predict, LogitsOfAnArrayAndPictures) {
  const TempFolder& work = trained();
  const std::vector<float> pixels(3 * 32 * 32 * 3, 0.25f);
  write_npy(work / "x.npy", {3, 32, 32, 3}, std::span(pixels));
  const Outcome array =
      run({"predict", "--weights", "t", "x.npy", "--logits", "y.npy", "--json", "--top", "2"}, work);
  ASSERT_EQ(array.code, 0) << array.err;
  const json result = json::parse(array.out);
  ASSERT_EQ(result["predictions"].size(), 3u);
  const json& top = result["predictions"][1]["top"];
  ASSERT_EQ(top.size(), 2u);
  const NpyArray logits = read_npy(work / "y.npy");
  EXPECT_EQ(logits.shape, (std::vector<int64_t>{3, 24}));
  const auto row = logits.values<float>().subspan(24, 24);
  EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), top[0]["class"]);
  EXPECT_GE(top[0]["probability"], top[1]["probability"]);

  const std::string picture = testing::data_folder() + "/images/picture.jpg";
  const Outcome shown = run({"predict", "--weights", "t", picture, "--top", "1"}, work);
  ASSERT_EQ(shown.code, 0) << shown.err;
  expect_contains(shown.err, "resized and centre-cropped to 32x32");
  expect_contains(shown.out, "picture.jpg: ");

  expect_contains(failure(2, {"predict", "--weights", "t", "x.npy", picture}, work), "or one .npy");
  work.write("broken.png", "no picture");
  expect_contains(failure(3, {"predict", "--weights", "t", "broken.png"}, work), "broken.png");
  write_npy(work / "small.npy", {1, 8, 8, 3}, std::span(pixels).subspan(0, 192));
  expect_contains(failure(3, {"predict", "--weights", "t", "small.npy"}, work),
                  "expected f32 [N, 32, 32, 3]");
}

TEST(BadInput, DataSets) {
  TempFolder work;
  const auto train = [](const std::string& folder) {
    return std::vector<std::string>{"train", "--model", "resnet8", "--data", "cifar100:" + folder,
                                    "--out", "run"};
  };
  expect_contains(failure(3, train("nowhere"), work), "nowhere");
  work.zeros("short/train.bin", 153699999);
  work.zeros("short/test.bin", 30740000);
  const std::string short_file = failure(3, train("short"), work);
  expect_contains(short_file, "short/train.bin");
  expect_contains(short_file, "153,699,999");
  expect_contains(short_file, "a multiple of 3,074");

  work.zeros("label/train.bin", 153700000);
  work.zeros("label/test.bin", 30740000);
  std::fstream file(work / "label/train.bin", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(3074 * 7 + 1).put(char(200));
  file.close();
  const std::string label = failure(3, train("label"), work);
  expect_contains(label, "label/train.bin");
  expect_contains(label, "200");
  expect_contains(label, "byte 21,519");  // 7 rows of 3074, then the coarse label
  EXPECT_FALSE(std::filesystem::exists(work / "run"));
}

TEST(BadInput, WeightsFiles) {
  const TempFolder& work = trained();
  const std::string good = content_of(work / "t/checkpoints/last.safetensors");
  std::string flipped = good;
  flipped[good.size() / 2] = char(flipped[good.size() / 2] ^ 0x10);
  work.write("flipped.safetensors", flipped);
  work.write("truncated.safetensors", good.substr(0, good.size() - 100));
  work.write("empty.safetensors", "");

  for (const char* name :
       {"flipped.safetensors", "truncated.safetensors", "empty.safetensors", "none.safetensors"}) {
    SCOPED_TRACE(name);
    expect_contains(failure(3, {"eval", "--weights", name, "--data", tiny}, work), name);
    expect_contains(failure(3, {"distill", "--teacher", name, "--student", "resnet8", "--data", tiny}, work),
                    name);
    expect_contains(failure(3, {"train", "--init", name, "--model", "resnet8", "--data", tiny}, work), name);
    expect_contains(failure(3, {"info", name}, work), name);
  }
  expect_contains(failure(3, {"eval", "--weights", "t", "--model", "resnet20", "--data", tiny}, work),
                  "resnet20");
  expect_contains(failure(3, {"train", "--init", "t", "--model", "resnet20", "--data", tiny}, work),
                  "resnet20");
  expect_contains(failure(3,
                          {"distill", "--teacher", "t", "--teacher-model", "resnet20", "--student", "resnet8",
                           "--data", tiny},
                          work),
                  "as resnet20");
  EXPECT_FALSE(std::filesystem::exists(work / "runs"));
}

TEST(BadInput, ARunIsNotResumedOnOtherData) {
  TempFolder work;
  ASSERT_EQ(run(training("a"), work).code, 0);
  expect_contains(failure(3, {"train", "--resume", "a", "--epochs", "2", "--data", tiny + ",seed=2"}, work),
                  "is not the data that a was trained on");
}

TEST(BadInput, ADamagedRunIsNotResumed) {
  TempFolder work;
  ASSERT_EQ(run(training("a"), work).code, 0);
  work.write("a/summary.json", replaced(content_of(work / "a/summary.json"), "finished", "stopped"));
  work.write("a/config.toml", "model = ");
  expect_contains(failure(3, {"train", "--resume", "a"}, work), "a/config.toml:1");
}

}  // namespace
}  // namespace retort
