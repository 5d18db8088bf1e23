// mdistiller's configs become recipes that say the same, and what they do not say is named.
#include "distill/mdistiller/config.h"

#include <gtest/gtest.h>

#include <map>

#include "distill/mdistiller/yaml_file.h"
#include "distill/methods/registry.h"
#include "tests/support/program.h"
#include "tests/support/translated_config.h"

namespace retort {
namespace {

using namespace testing;

TEST(MdistillerConfig, TheWholeOfKd) {
  const Translated kd =
      translated(config("KD", "KD:\n  TEMPERATURE: 3\n  LOSS:\n    CE_WEIGHT: 0.2\n    KD_WEIGHT: .75\n") +
                 "DATASET:\n  TYPE: \"cifar100\"\n  NUM_WORKERS: 8\n");
  EXPECT_EQ(kd.settings.model, "resnet20");
  EXPECT_EQ(kd.settings.teacher_model, "resnet56");
  EXPECT_EQ(kd.settings.epochs, 200);
  EXPECT_EQ(kd.settings.batch, 128);
  EXPECT_EQ(kd.settings.data.spec, "cifar100:data");
  EXPECT_EQ(kd.settings.data.augment, "auto");
  EXPECT_EQ(kd.settings.data.workers, 8);
  EXPECT_EQ(kd.settings.optimizer.lr, 0.1);
  EXPECT_EQ(kd.settings.optimizer.momentum, 0.8);
  EXPECT_EQ(kd.settings.optimizer.weight_decay, 0.0003);
  EXPECT_EQ(kd.settings.schedule.milestones, (std::vector<int>{100, 150}));
  EXPECT_EQ(kd.settings.schedule.factor, 0.2);
  EXPECT_EQ(kd.settings.method.method().name, "kd");
  EXPECT_EQ(kd.number("temperature"), 3);
  EXPECT_EQ(kd.number("ce_weight"), 0.2);
  EXPECT_EQ(kd.number("alpha"), 0.75);
  EXPECT_TRUE(kd.notes.empty()) << kd.notes.front();
  expect_contains(kd.toml, "cifar100_trials");
}

// mdistiller's defaults, not ours: its weight decay is 1e-4, its weight of ReviewKD 1.
TEST(MdistillerConfig, DefaultsAreTheirsAndWritten) {
  const Translated all = translated("DISTILLER: {TYPE: REVIEWKD, STUDENT: resnet20, TEACHER: resnet56}\n");
  EXPECT_EQ(all.settings.optimizer.weight_decay, 1e-4);
  EXPECT_EQ(all.settings.optimizer.lr, 0.05);
  EXPECT_EQ(all.settings.epochs, 240);
  EXPECT_EQ(all.settings.schedule.milestones, (std::vector<int>{150, 180, 210}));
  EXPECT_EQ(all.number("alpha"), 1);
  EXPECT_EQ(all.number("warmup"), 20);
  expect_contains(all.toml, "weight_decay = 1e-04  # mdistiller's default\n");
  EXPECT_EQ(all.settings.data.spec, "cifar100:data");
  const Translated networks = translated("DISTILLER: {TYPE: KD}\n");
  EXPECT_EQ(networks.settings.model, "resnet32");
  EXPECT_EQ(networks.settings.teacher_model, "ResNet50");
}

struct Case {
  std::string type, section, method;
  std::map<std::string, double> numbers;
};

// Each with values that are nobody's defaults.
TEST(MdistillerConfig, EveryMethod) {
  const std::vector<Case> cases = {
      {"NONE", "", "ce", {}},
      {"vanilla", "", "ce", {}},
      {"DKD",
       "DKD:\n  CE_WEIGHT: 0.5\n  ALPHA: 2\n  BETA: 6.5\n  T: 3\n  WARMUP: 11\n",
       "dkd",
       {{"ce_weight", .5}, {"alpha", 2}, {"beta", 6.5}, {"temperature", 3}, {"warmup", 11}}},
      {"DIST",
       "DIST:\n  CE_WEIGHT: 0.5\n  BETA: 3\n  GAMMA: 1.5\n  T: 2\n",
       "dist",
       {{"ce_weight", .5}, {"beta", 3}, {"gamma", 1.5}, {"temperature", 2}}},
      {"NKD",
       "NKD:\n  LOSS:\n    CE_WEIGHT: 0.5\n    KD_WEIGHT: 1.0\n  GAMMA: 3.5\n  T: 3\n",
       "nkd",
       {{"ce_weight", .5}, {"gamma", 3.5}, {"temperature", 3}}},
      {"MLKD",
       "KD:\n  TEMPERATURE: 3\n  LOSS:\n    CE_WEIGHT: 0.5\n    KD_WEIGHT: 9\n",
       "mlkd",
       {{"ce_weight", .5}, {"beta", 9}, {"temperature", 3}}},
      {"MLLD",
       "MLLD:\n  TEMPERATURE: 3\n  LOSS:\n    CE_WEIGHT: 0.5\n    KD_WEIGHT: 9\n",
       "mlkd",
       {{"ce_weight", .5}, {"beta", 9}, {"temperature", 3}}},
      {"MLKD_NOAUG", "", "mlkd", {{"ce_weight", .1}, {"beta", .9}, {"temperature", 4}}},
      {"CTKD",
       "CTKD:\n  LOSS:\n    CE_WEIGHT: 0.5\n    KD_WEIGHT: 2\n  DECAY_LOOPS: 7\n",
       "ctkd",
       {{"ce_weight", .5}, {"alpha", 2}, {"curriculum", 7}}},
      {"RLD",
       "RLD:\n  CE_WEIGHT: 0.5\n  ALPHA: 2\n  BETA: 4\n  ALPHA_T: 3\n  T: 5\n  WARMUP: 10\n",
       "rld",
       {{"ce_weight", .5},
        {"alpha", 2},
        {"beta", 4},
        {"temperature_a", 3},
        {"temperature", 5},
        {"warmup", 10}}},
      {"PCD",
       "PCD:\n  CE_WEIGHT: 0.5\n  ALPHA: 2\n  T: 5\n  WARMUP: 10\n  STEPS: 5.0\n",
       "pcd-released",
       {{"ce_weight", .5}, {"alpha", 2}, {"temperature", 5}, {"warmup", 10}}},
      {"FITNET",
       "FITNET:\n  HINT_LAYER: 3\n  LOSS:\n    CE_WEIGHT: 0.5\n    FEAT_WEIGHT: 50\n",
       "fitnet",
       {{"ce_weight", .5}, {"alpha", 50}}},
      {"AT",
       "AT:\n  P: 2\n  LOSS:\n    CE_WEIGHT: 0.5\n    FEAT_WEIGHT: 500\n",
       "at",
       {{"ce_weight", .5}, {"alpha", 500}}},
      {"RKD",
       "RKD:\n  DISTANCE_WEIGHT: 20\n  ANGLE_WEIGHT: 30\n  LOSS:\n    CE_WEIGHT: 0.5\n    FEAT_WEIGHT: 0.5\n"
       "  PDIST:\n    EPSILON: 1.0e-12\n    SQUARED: False\n",
       "rkd",
       {{"ce_weight", .5}, {"alpha", 10}, {"beta", 15}}},
      {"CRD",
       "CRD:\n  MODE: exact\n  FEAT:\n    DIM: 64\n  LOSS:\n    CE_WEIGHT: 0.5\n    FEAT_WEIGHT: 0.4\n"
       "  NCE:\n    K: 100000\n    MOMENTUM: 0.6\n    TEMPERATURE: 0.1\n",
       "crd",
       {{"ce_weight", .5}, {"alpha", .4}, {"momentum", .6}, {"temperature", .1}}},
      {"REVIEWKD",
       "REVIEWKD:\n  CE_WEIGHT: 0.5\n  REVIEWKD_WEIGHT: 0.6\n  WARMUP_EPOCHS: 5\n  MAX_MID_CHANNEL: 512\n",
       "reviewkd",
       {{"ce_weight", .5}, {"alpha", .6}, {"warmup", 5}}},
  };
  for (const Case& method : cases) {
    SCOPED_TRACE(method.type);
    const Translated all = translated(config(method.type, method.section));
    EXPECT_EQ(all.settings.method.method().name, method.method);
    for (const auto& [key, value] : method.numbers) EXPECT_EQ(all.number(key), value) << key;
    if (method.method == "ce") {
      EXPECT_EQ(all.settings.teacher_model, "");
      EXPECT_TRUE(noted(all, "a.yaml:7: DISTILLER.TEACHER is not translated"));
    } else {
      EXPECT_TRUE(all.notes.empty()) << all.notes.front();
    }
    // Nothing is left to the defaults of a later program.
    for (const auto& [key, value] : all.settings.method.list())
      EXPECT_TRUE(all.settings.method.is_set(key.name)) << key.name;
    if (method.method == "mlkd") {
      EXPECT_EQ(all.settings.method.integer("views"), method.type == "MLKD_NOAUG" ? 1 : 2);
    }
  }
  EXPECT_EQ(translated(config("PCD", "PCD:\n  STEPS: 5.0\n")).settings.method.integer("stages"), 5);
  EXPECT_EQ(translated(config("FITNET", "FITNET:\n  HINT_LAYER: 3\n")).settings.method.integer("stage"), 3);
  const MethodSettings crd =
      translated(config("CRD", "CRD:\n  FEAT: {DIM: 64}\n  NCE: {K: 100000}\n")).settings.method;
  EXPECT_EQ(crd.integer("width"), 64);
  EXPECT_EQ(crd.integer("negatives"), 100000);
  const MethodSettings reviewkd =
      translated(config("REVIEWKD", "REVIEWKD:\n  MAX_MID_CHANNEL: 256\n  STU_PREACT: True\n")).settings.method;
  EXPECT_EQ(reviewkd.integer("width"), 256);
  EXPECT_TRUE(reviewkd.flag("before_relu"));
  expect_contains(translated(config("PCD")).toml, "pcd-released here: what its authors' code computes");
}

TEST(MdistillerConfig, EveryMethodThatThisProgramSharesWithMdistillerIsReached) {
  for (const MethodInfo& method : methods()) {
    if (method.name.starts_with("pcd")) continue;  // by the one name PCD
    std::string type = method.name == "ce" ? "NONE" : method.name;
    EXPECT_EQ(translated(config(type)).settings.method.method().name, method.name);
  }
}

TEST(MdistillerConfig, NetworksAndListsAndFlags) {
  for (const auto& [teacher, student] :
       std::vector<std::pair<std::string, std::string>>{{"wrn_40_2", "wrn_16_2"},
                                                        {"vgg13", "vgg8"},
                                                        {"ResNet50", "MobileNetV2"},
                                                        {"resnet32x4", "ShuffleV1"},
                                                        {"resnet32x4", "ShuffleV2"},
                                                        {"resnet110", "resnet8x4"}}) {
    const Translated all = translated(config("KD", "", teacher, student));
    EXPECT_EQ(all.settings.teacher_model, teacher);
    EXPECT_EQ(all.settings.model, student);
    EXPECT_EQ(all.toml.find("double_batch_norm") != std::string::npos, teacher == "wrn_40_2");
  }
  const std::string pair = "DISTILLER: {TYPE: dkd}\n";
  EXPECT_EQ(translated(pair + "SOLVER: {LR_DECAY_STAGES: \"(30, 60)\"}\n").settings.schedule.milestones,
            (std::vector<int>{30, 60}));
  EXPECT_EQ(translated(pair + "SOLVER: {LR_DECAY_STAGES: []}\n").settings.schedule.milestones,
            std::vector<int>{});
  EXPECT_EQ(translated(pair + "SOLVER:\n  LR_DECAY_STAGES:\n  - 30\n  - 60.0\n").settings.schedule.milestones,
            (std::vector<int>{30, 60}));
  EXPECT_TRUE(translated(pair + "EXPERIMENT: {LOGIT_STAND: True}\n").settings.method.flag("standardize"));
  EXPECT_FALSE(translated(pair).settings.method.flag("standardize"));
  EXPECT_EQ(translated(pair + "DATASET: {TYPE: cifar10}\n").settings.data.spec, "cifar10:data");
  EXPECT_EQ(translated(pair + "SOLVER: {LR: 5e-3}\n").settings.optimizer.lr, 0.005);
}

TEST(MdistillerConfig, WhatIsNotTranslatedIsNamedWithItsLine) {
  const Translated all = translated(
      "DISTILLER:\n  TYPE: AT\nAT:\n  P: 4\n  LOSS: {FEAT_WEIGHT: 10}\nLOG:\n  PREFIX: ./out\n  WANDB: "
      "False\n"
      "DKD:\n  T: 4\nREVIEWKD:\n  SHAPES: [1, 8]\nSOLVER:\n  TRAINER: other\n  GAMMA: 1\nDATASET:\n  TEST:\n"
      "    BATCH_SIZE: 64\nEXPERIMENT:\n  LOGIT_STAND: True\n");
  const std::vector<std::string> expected = {
      "a.yaml:4: AT.P is not translated: here it is 2",
      "a.yaml:7: LOG.PREFIX is not translated: it has no counterpart here",
      "a.yaml:8: LOG.WANDB is not",
      "a.yaml:10: DKD.T is not translated: DISTILLER.TYPE is AT",
      "a.yaml:12: REVIEWKD.SHAPES is not translated: DISTILLER.TYPE is AT",
      "a.yaml:14: SOLVER.TRAINER is not translated: here it follows from the method",
      "a.yaml:15: SOLVER.GAMMA is not",
      "a.yaml:18: DATASET.TEST.BATCH_SIZE is not",
      "a.yaml:20: EXPERIMENT.LOGIT_STAND is not",
  };
  ASSERT_EQ(all.notes.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) expect_contains(all.notes[i], expected[i]);
}

// Of forks, whose files often leave everything to the code.
TEST(MdistillerConfig, MethodsThatCorrectTheTeacher) {
  const Translated rc = translated(config("RC", "RC:\n  RC_WEIGHT: 0.2\n  T: 3\n"));
  EXPECT_EQ(rc.settings.method.method().name, "rc");
  EXPECT_EQ(rc.number("beta"), 0.2);
  EXPECT_EQ(rc.number("alpha"), 1);
  EXPECT_EQ(rc.number("temperature"), 3);
  EXPECT_EQ(translated(config("SWAP")).settings.method.method().name, "swap");
  EXPECT_EQ(translated(config("REVISION")).settings.method.method().name, "revision");
  const Translated my = translated(config("MY", "MY:\n  BETA: 2\n  METHOD: ge_incl\n"));
  EXPECT_EQ(my.settings.method.method().name, "rld");
  EXPECT_EQ(my.number("beta"), 2);
  EXPECT_FALSE(noted(my, "MY.METHOD"));
  EXPECT_TRUE(noted(translated(config("MY", "MY:\n  GAMMA: 1\n")), "MY.GAMMA"));
}

TEST(MdistillerConfig, TwoMomenta) {
  const std::string solver = "DISTILLER: {TYPE: KD}\nSOLVER:\n  TRAINER: ";
  const Translated dot = translated(solver + "dot\n  DOT:\n    DELTA: 0.09\n");
  EXPECT_EQ(dot.settings.optimizer.kind, "dot");
  EXPECT_EQ(dot.settings.optimizer.delta, 0.09);
  EXPECT_TRUE(dot.notes.empty());
  EXPECT_EQ(translated(solver + "crd_dot\n").settings.optimizer.delta, 0.075);
  EXPECT_EQ(translated(solver + "base\n").settings.optimizer.kind, "sgd");
}

TEST(MdistillerConfig, VidAsThatToolkitTrainsIt) {
  const Translated vid = translated(config("VID", "VID:\n  INIT_PRED_VAR: 4\n  EPS: 1e-5\n"));
  EXPECT_EQ(vid.number("variance"), 4);
  EXPECT_TRUE(vid.settings.method.flag("fixed_variance"));
  EXPECT_FALSE(noted(vid, "VID.EPS"));
  EXPECT_TRUE(noted(translated(config("KDSVD", "KDSVD: {K: 2}\n")), "KDSVD.K"));
}

TEST(MdistillerConfig, MethodsOfLaterForks) {
  const Translated gdkd =
      translated(config("GDKD", "GDKD:\n  W1: 2\n  W2: 6\n  TOPK: 4\n  KL_TYPE: forward\n"));
  EXPECT_EQ(gdkd.settings.method.method().name, "gdkd");
  EXPECT_EQ(gdkd.number("w2"), 6);
  EXPECT_EQ(gdkd.settings.method.integer("k"), 4);
  EXPECT_FALSE(noted(gdkd, "GDKD.KL_TYPE"));
  const Translated crld = translated(config("CRLD", "CRLD:\n  TAU_W: 0.7\n  TAU_S: 0.47\n  CV_WEIGHT: 1\n"));
  EXPECT_EQ(crld.settings.method.method().name, "crld");
  EXPECT_EQ(crld.number("threshold"), 0.7);
  EXPECT_EQ(crld.number("strong_threshold"), 0.47);
  EXPECT_EQ(views_read(crld.settings.method), 2);
  const Translated wkd = translated(config("WKD", "WKD:\n  TEMPERATURE: 2\n  LOSS:\n    KD_WEIGHT: 30\n"));
  EXPECT_EQ(wkd.settings.method.method().name, "wkd-l");
  EXPECT_EQ(wkd.number("alpha"), 30);
}

std::string on_images(const std::string& type, const std::string& images, const std::string& teacher,
                      const std::string& student) {
  return config(type, "DATASET:\n  TYPE: " + images + "\n  TEST:\n    BATCH_SIZE: 128\n", teacher, student);
}

TEST(MdistillerConfig, ImageNetsNamesAreOtherNetworksThanCifars) {
  const Translated basic = translated(on_images("DKD", "imagenet", "ResNet34", "ResNet18"));
  EXPECT_EQ(basic.settings.model, "resnet18_imagenet");
  EXPECT_EQ(basic.settings.teacher_model, "resnet34_imagenet");
  EXPECT_EQ(basic.settings.data.spec, "folder:data/imagenet");
  EXPECT_EQ(basic.settings.data.augment, "auto");
  expect_contains(basic.toml, "--data folder:DIR");
  const Translated mobile = translated(on_images("OFD", "imagenet", "ResNet50", "MobileNetV1"));
  EXPECT_EQ(mobile.settings.teacher_model, "resnet50_imagenet");
  EXPECT_EQ(mobile.settings.model, "MobileNetV1");
  // CIFAR's network of that name is another one.
  expect_contains(refusal(on_images("KD", "imagenet", "ResNet50", "MobileNetV2")),
                  "DISTILLER.STUDENT is 'MobileNetV2', which is no network here for imagenet; did you mean "
                  "'MobileNetV1'?");
  expect_contains(refusal("DISTILLER: {TYPE: KD, TEACHER: ResNet34}\nDATASET: {TYPE: imagenet}\n"),
                  "a.yaml: DISTILLER.STUDENT is not given and means 'resnet32', which is no network here for "
                  "imagenet");
}

TEST(MdistillerConfig, TinyImageNetsKeepTheirNames) {
  const Translated tiny = translated(on_images("KD", "tiny_imagenet", "ResNet18", "ShuffleV2"));
  EXPECT_EQ(tiny.settings.model, "ShuffleV2");
  EXPECT_EQ(tiny.settings.teacher_model, "ResNet18");
  EXPECT_EQ(tiny.settings.data.spec, "folder:data/tiny-imagenet-200");
  EXPECT_EQ(tiny.settings.data.augment, "crop-flip");
  expect_contains(tiny.toml, "rotation");
}

TEST(MdistillerConfig, TheFirstFormOfLogitStandardisationHadNoSwitch) {
  const Translated first = translated(config("KD_ours"));
  EXPECT_EQ(first.settings.method.method().name, "mlkd");
  EXPECT_TRUE(first.settings.method.flag("standardize"));
  EXPECT_EQ(views_read(first.settings.method), 2);
  EXPECT_FALSE(translated(config("MLKD")).settings.method.flag("standardize"));
}

TEST(MdistillerConfig, RefusesWhatItCannotSay) {
  const std::string unknown = refusal("SOLVER: {LR: 1}\nDISTILLER:\n  TYPE: SKD\n");
  expect_contains(unknown, "a.yaml:3: DISTILLER.TYPE is 'SKD'");
  expect_contains(unknown, "NONE, VANILLA, LS-CE");
  const std::string pair = "DISTILLER: {TYPE: KD}\n";
  expect_contains(refusal("DISTILLER: {TYPE: KD, STUDENT: resnet21}\n"),
                  "for cifar100; did you mean 'resnet20'? known: ");
  expect_contains(refusal(pair + "SOLVER: {TYPE: Adam}\n"), "a.yaml:2: SOLVER.TYPE is 'Adam', expected SGD");
  expect_contains(refusal(pair + "DATASET: {TYPE: svhn}\n"),
                  "expected cifar100, cifar10, imagenet, tiny_imagenet");
  expect_contains(refusal(pair + "SOLVER:\n  LR: -1\n"), "a.yaml:3: SOLVER.LR: optimizer.lr is '-1'");
  expect_contains(refusal(pair + "SOLVER: {LR: fast}\n"), "a.yaml:2: SOLVER.LR");
  expect_contains(refusal(pair + "SOLVER: {LR: .nan}\n"), "a.yaml:2: SOLVER.LR");
  expect_contains(refusal(pair + "SOLVER: {LR: }\n"), "a.yaml:2: SOLVER.LR");
  expect_contains(refusal(pair + "SOLVER: {EPOCHS: 1.5}\n"), "a.yaml:2: SOLVER.EPOCHS");
  expect_contains(refusal(pair + "SOLVER: {LR_DECAY_STAGES: [2, 1]}\n"), "a.yaml:2: SOLVER.LR_DECAY_STAGES");
  expect_contains(refusal(pair + "SOLVER: {LR_DECAY_STAGES: [[2], 3]}\n"),
                  "a.yaml:2: SOLVER.LR_DECAY_STAGES");
  expect_contains(refusal("DISTILLER: {TYPE: RKD}\nRKD: {LOSS: {FEAT_WEIGHT: x}}\n"),
                  "a.yaml:2: RKD.LOSS.FEAT_WEIGHT: 'x' is no number");
  expect_contains(refusal("DISTILLER: {TYPE: MLLD}\nKD: {TEMPERATURE: 1}\nMLLD: {TEMPERATURE: 2}\n"),
                  "a.yaml:3: MLLD.TEMPERATURE says again");
}

TEST(MdistillerConfig, RefusesWhatIsNoConfigOfMdistiller) {
  expect_contains(refusal(""), "no config of mdistiller");
  expect_contains(refusal("just text\n"), "no config of mdistiller");
  expect_contains(refusal("- a\n- b\n"), "no config of mdistiller");
  expect_contains(refusal("model: x\n"), "it has no DISTILLER.TYPE");
  expect_contains(refusal("DISTILLER: KD\n"), "a.yaml:1: DISTILLER is a value");
  expect_contains(refusal("DISTILLER: {TYPE: KD}\nKD:\n"), "a.yaml:2: KD is a value");
  expect_contains(refusal("DISTILLER: {TYPE: [KD]}\n"), "is a list");
  expect_contains(refusal("DISTILLER: {TYPE: {KD: 1}}\n"), "DISTILLER.TYPE is a mapping");
}

TEST(YamlFile, MalformedFilesSayTheLine) {
  expect_contains(refusal("A: 1\nB: \"x\" y\n", Fault::input), "a.yaml:2: no YAML");
  expect_contains(refusal("A: 1\nB: [1, 2\nC: 3\n", Fault::input), "no YAML");
  expect_contains(refusal("A: 1\n\tB: 2\n", Fault::input), "a.yaml:2:");
  expect_contains(refusal("A: b: c\n", Fault::input), "a.yaml:1:");
  TempFolder work;
  expect_fault(Fault::input, "missing.yaml", [&] { read_yaml(work / "missing.yaml"); });
  expect_fault(Fault::input, "big.yaml", [&] { read_yaml(work.zeros("big.yaml", 100 << 20)); });
}

TEST(YamlFile, WhatConfigsHaveNoUseForIsRefused) {
  expect_contains(refusal("A: &a 1\n"), "a.yaml:1: an anchor");
  // Each line ten times the one before: expanded it would be 10^9 values.
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) bomb += std::string(i ? ", *" : "*") + char(c - 1);
    bomb += "]\n";
  }
  expect_contains(refusal(bomb), "a.yaml:1: an anchor");
  expect_contains(refusal("A: !!python/object 1\n"), "has the tag");
  expect_contains(refusal("A: 1\nB: 2\nA: 3\n"), "a.yaml:3: key 'A' is there twice");
  expect_contains(refusal("? [1]\n: 2\n"), "a key is no scalar");
  expect_contains(refusal("A: 1\n---\nB: 1\n"), "a second document");
  expect_contains(refusal("A: [[[[[[[[1]]]]]]]]\n"), "nested deeper");
}

// As deep and as long as a file may be; nothing may overflow, whichever fault it is.
TEST(YamlFile, DeepNestingIsRefused) {
  TempFolder work;
  const size_t size = 1000000;
  std::string indented;
  for (int depth = 0; indented.size() < size - 2000; ++depth) indented += std::string(depth, ' ') + "a:\n";
  std::string dashes;
  while (dashes.size() < size) dashes += "- ";
  for (const std::string& content : {std::string(size, '['), std::string(size, '{'), indented, dashes})
    EXPECT_THROW(read_yaml(work.write("deep.yaml", content)), Error);
}

TEST(MdistillerConfig, FromTheCommandLine) {
  TempFolder work;
  work.write("kd.yaml", config("KD", "LOG:\n  PREFIX: x\n", "resnet8", "resnet8"));
  const Outcome outcome = run({"data", "recipe", "kd.yaml"}, work);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "retort: kd.yaml:19: LOG.PREFIX is not translated: it has no counterpart here\n");
  work.write("kd.toml", outcome.out);
  // The recipe is taken; what stops the run is the teacher, which comes after it.
  expect_contains(
      failure(3, {"distill", "--config", "kd.toml", "--teacher", "none.pth", "--data", "synthetic"}, work),
      "none.pth");

  work.write("ce.yaml", config("NONE", "", "resnet8", "resnet8"));
  work.write("ce.toml", run({"data", "recipe", "ce.yaml"}, work).out);
  const Outcome trained = run({"train", "--config", "ce.toml", "--data", "synthetic:train=96,test=48",
                               "--batch", "32", "--epochs", "1", "--out", "t"},
                              work);
  EXPECT_EQ(trained.code, 0) << trained.err;
  const Outcome distilled =
      run({"distill", "--config", "kd.toml", "--teacher", "t", "--data", "synthetic:train=96,test=48",
           "--batch", "32", "--epochs", "1", "--out", "s"},
          work);
  EXPECT_EQ(distilled.code, 0) << distilled.err;
  expect_contains(content_of(work / "s/config.toml"), "weight_decay = 3e-04");

  expect_contains(failure(3, {"data", "recipe", "missing.yaml"}, work), "missing.yaml");
  work.write("bad.yaml", "A: [\n");
  expect_contains(failure(3, {"data", "recipe", "bad.yaml"}, work), "bad.yaml:");
  work.write("skd.yaml", config("SKD"));
  expect_contains(failure(2, {"data", "recipe", "skd.yaml"}, work), "supported: NONE");
  expect_contains(failure(2, {"data", "recipe"}, work), "expected one");
  expect_contains(failure(2, {"data", "translate"}, work), "retort data recipe FILE");
}

}  // namespace
}  // namespace retort
