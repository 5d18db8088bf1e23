// Configs of mdistiller's forks, whose code reads other sections, names and defaults than mdistiller's.
#include <gtest/gtest.h>

#include "tests/support/translated_config.h"

namespace retort {
namespace {

using namespace testing;

std::string of_imagenet(const std::string& type, const std::string& method = "",
                        const std::string& teacher = "ResNet34", const std::string& student = "ResNet18") {
  return config(type, "DATASET:\n  TYPE: imagenet\n" + method, teacher, student);
}

bool has_note(const Translated& all) {
  return !all.notes.empty();
}

// RLD's code gives SWAP the temperature of KD.
TEST(MdistillerForks, SwapReadsTheTemperatureOfKd) {
  const Translated swap = translated(of_imagenet("SWAP", "KD:\n  TEMPERATURE: 1.0\n"));
  EXPECT_EQ(swap.number("temperature"), 1);
  EXPECT_FALSE(has_note(swap)) << swap.notes.front();
  EXPECT_EQ(translated(config("SWAP")).number("temperature"), 4);
  const Translated weighted = translated(config("SWAP", "KD:\n  LOSS:\n    KD_WEIGHT: 2\n"));
  EXPECT_TRUE(noted(weighted, "KD.LOSS.KD_WEIGHT is not translated: it has no counterpart here"));
  EXPECT_TRUE(noted(translated(config("RC", "KD:\n  TEMPERATURE: 1\n")), "DISTILLER.TYPE is RC"));
}

// SDD's own code gives NKD, and SDD-NKD, what stands under DKD; others' have a section NKD.
TEST(MdistillerForks, NkdReadsDkd) {
  const Translated own =
      translated(config("SDD_NKD", "DKD:\n  CE_WEIGHT: 0.5\n  BETA: 6.0\n  T: 2\n  WARMUP: 7\n"));
  EXPECT_EQ(own.settings.method.method().name, "sdd-nkd");
  EXPECT_EQ(own.number("ce_weight"), 0.5);
  EXPECT_EQ(own.number("gamma"), 6);
  EXPECT_EQ(own.number("temperature"), 2);
  EXPECT_EQ(own.number("warmup"), 7);
  EXPECT_FALSE(has_note(own)) << own.notes.front();
  const Translated other =
      translated(config("SDD_NKD", "NKD:\n  GAMMA: 3\nDKD:\n  BETA: 6\n  ALPHA: 2\n  T: 2\n"));
  EXPECT_EQ(other.number("gamma"), 3);
  EXPECT_EQ(other.number("temperature"), 2);
  EXPECT_TRUE(noted(other, "DKD.BETA is not translated: NKD.GAMMA says it"));
  EXPECT_TRUE(noted(other, "DKD.ALPHA is not translated: it has no counterpart here"));
  const Translated plain =
      translated(config("NKD", "DKD:\n  CE_WEIGHT: 0.5\n  BETA: 6\n  T: 2\n  WARMUP: 1\n"));
  EXPECT_EQ(plain.number("warmup"), 1);
  EXPECT_EQ(plain.number("ce_weight"), 0.5);
  EXPECT_EQ(plain.number("gamma"), 1.5);
  EXPECT_TRUE(noted(plain, "DKD.BETA"));
}

// What the config's own code does, slips included, with a word about it: as of VID's variances.
TEST(MdistillerForks, SddNkdKeepsTheLabelledClassAsItsCodeDoes) {
  const Translated sdd = translated(config("SDD_NKD"));
  EXPECT_TRUE(sdd.settings.method.flag("all_classes"));
  EXPECT_EQ(sdd.number("gamma"), 8);
  EXPECT_EQ(sdd.number("warmup"), 20);
  expect_contains(sdd.toml, "# scales: the authors' command gives them, with --M. all_classes: a slip");
}

TEST(MdistillerForks, SddNamesNetworksAndMethodsApart) {
  for (const auto& [teacher, student] : std::vector<std::pair<std::string, std::string>>{
           {"vgg13", "vgg8"}, {"resnet32x4", "ShuffleV1"}, {"ResNet50", "MobileNetV2"}}) {
    const Translated sdd = translated(config("SDD_KD", "", teacher + "_sdd", student + "_sdd"));
    EXPECT_EQ(sdd.settings.teacher_model, teacher);
    EXPECT_EQ(sdd.settings.model, student);
  }
  const std::string dkd = "DKD:\n  CE_WEIGHT: 1.0\n  BETA: 0.5\n  T: 1.0\n  WARMUP: 1\n";
  const Translated photos = translated(of_imagenet("GLD_NKD", dkd, "ResNet34_sdd", "ResNet18_sdd"));
  EXPECT_EQ(photos.settings.method.method().name, "sdd-nkd");
  EXPECT_EQ(photos.settings.model, "resnet18_imagenet");
  EXPECT_EQ(photos.settings.teacher_model, "resnet34_imagenet");
  EXPECT_EQ(photos.number("gamma"), 0.5);
  EXPECT_EQ(translated(of_imagenet("GL_DKD", dkd)).settings.method.method().name, "sdd-dkd");
  EXPECT_EQ(translated(config("GLD_KD")).settings.method.method().name, "sdd-kd");
  expect_contains(translated(config("SDD_DKD")).toml, "--warm_up");
  expect_contains(refusal(config("SDD_KD", "", "vgg13_sdd", "vgg7_sdd")),
                  "DISTILLER.STUDENT is 'vgg7_sdd', which is no network here for cifar100; did you mean");
}

std::string wkd(const std::string& weights, const std::string& more = "") {
  return config("WKD", "WKD:\n  LOSS:\n    CE_WEIGHT: 1.0\n" + weights + "  TEMPERATURE: 2.0\n" + more);
}

TEST(MdistillerForks, WkdSaysItsCostsAndWhenItsWeightFalls) {
  const Translated all = translated(
      wkd("    WKD_LOGIT_WEIGHT: 25.0\n    WKD_FEAT_WEIGHT: 0.0\n    COSINE_DECAY_EPOCH: 90\n",
          "  COST_MATRIX: 'cka'\n  COST_MATRIX_SHARPEN: 2.0\n  SINKHORN:\n    LAMBDA: 0.05\n    ITER: 10\n"));
  EXPECT_EQ(all.settings.method.method().name, "wkd-l");
  EXPECT_EQ(all.number("alpha"), 25);
  EXPECT_EQ(all.number("scale"), 2);
  EXPECT_EQ(all.number("decay_from"), 90);
  EXPECT_FALSE(has_note(all)) << all.notes.front();
  // That code's defaults, not ours.
  const Translated bare = translated(config("WKD"));
  EXPECT_EQ(bare.number("decay_from"), 0);
  EXPECT_EQ(bare.number("temperature"), 4);
  EXPECT_EQ(bare.number("alpha"), 1);
  const Translated other = translated(
      wkd("    WKD_LOGIT_WEIGHT: 1\n", "  COST_MATRIX: fc\n  SINKHORN:\n    ITER: 20\n  EPS: 1e-5\n"));
  EXPECT_TRUE(noted(other, "WKD.COST_MATRIX is not translated: here"));
  EXPECT_TRUE(noted(other, "WKD.SINKHORN.ITER is not translated: here it is 10"));
  const Translated named = translated(config("WKD-L", "WKD:\n  EPS: 1e-5\n"));
  EXPECT_TRUE(noted(named, "WKD.EPS is not translated: it has no counterpart here"));
}

TEST(MdistillerForks, WkdOfFeaturesIsAnotherMethod) {
  const std::string features =
      refusal(wkd("    WKD_LOGIT_WEIGHT: 0.0\n    WKD_FEAT_WEIGHT: 3\n    COSINE_DECAY_EPOCH: 150\n"));
  expect_contains(features, "WKD.LOSS.WKD_FEAT_WEIGHT is '3', which is not translated: that is WKD-F");
  expect_contains(refusal(wkd("    WKD_LOGIT_WEIGHT: 600\n    WKD_FEAT_WEIGHT: 0.006\n")), "WKD-F");
  expect_contains(refusal(wkd("    WKD_LOGIT_WEIGHT: 0.0\n")), "WKD.LOSS.WKD_LOGIT_WEIGHT is '0.0'");
  expect_contains(refusal(wkd("    WKD_LOGIT_WEIGHT: 1\n", "  COST_MATRIX_SHARPEN: 0\n")),
                  "WKD.COST_MATRIX_SHARPEN is '0'");
}

// GDKD's code: weights of 8 where a file says none, and a solver with two switches more.
TEST(MdistillerForks, GdkdsDefaultsAndSolver) {
  const Translated bare = translated(config("GDKD"));
  EXPECT_EQ(bare.number("w1"), 8);
  EXPECT_EQ(bare.number("w2"), 8);
  EXPECT_FALSE(bare.settings.optimizer.nesterov);
  const std::string pair = "DISTILLER: {TYPE: GDKD}\nSOLVER:\n  SGD_NESTEROV: True\n  LR_SCHEDULER: ";
  const Translated cosine =
      translated(pair + "cosine\n  LR_MIN: 0.0001\n  LR_DECAY_STAGES: [150, 180, 210]\n");
  EXPECT_TRUE(cosine.settings.optimizer.nesterov);
  EXPECT_EQ(cosine.settings.schedule.kind, "cosine");
  ASSERT_EQ(cosine.notes.size(), 1u);
  expect_contains(cosine.notes[0], "a.yaml:5: SOLVER.LR_MIN is not translated: here the rate falls to 0");
  expect_contains(cosine.toml, "# schedule.kind: theirs falls once an epoch");
  const Translated step = translated(pair + "step\n  LR_MIN: 0.0001\n  LR_DECAY_STAGES: [60]\n");
  EXPECT_EQ(step.settings.schedule.kind, "multistep");
  EXPECT_EQ(step.settings.schedule.milestones, std::vector<int>{60});
  EXPECT_FALSE(has_note(step)) << step.notes.front();
  expect_contains(refusal(pair + "linear\n"), "SOLVER.LR_SCHEDULER is 'linear', expected step, cosine");
}

// A second, strongly augmented view is made of small images only.
TEST(MdistillerForks, TwoViewsOfPhotosAreNamed) {
  const Translated mlkd = translated(of_imagenet("MLKD"));
  EXPECT_EQ(mlkd.settings.method.integer("views"), 1);
  ASSERT_EQ(mlkd.notes.size(), 1u);
  expect_contains(mlkd.notes[0],
                  "DISTILLER.TYPE is translated in part: it reads two views of each image, the recipe one");
  expect_contains(mlkd.toml, "# views: 1 of two; the second");
  expect_contains(refusal(of_imagenet("CRLD")), "DISTILLER.TYPE is 'CRLD', which reads two views");
  EXPECT_FALSE(has_note(translated(of_imagenet("MLKD_NOAUG"))));
  const std::string tiny = config("MLKD", "DATASET:\n  TYPE: tiny_imagenet\n", "ResNet18", "ShuffleV2");
  EXPECT_EQ(translated(tiny).settings.method.integer("views"), 2);
}

TEST(MdistillerForks, SimKdsWeightAndFactor) {
  const Translated simkd = translated(config("SIMKD", "SIMKD:\n  FACTOR: 2\n  LOSS:\n    FEAT_WEIGHT: 3\n"));
  EXPECT_EQ(simkd.number("alpha"), 3);
  EXPECT_EQ(simkd.number("ce_weight"), 0);
  EXPECT_FALSE(has_note(simkd)) << simkd.notes.front();
  EXPECT_EQ(translated(config("SIMKD", "SIMKD:\n  FEAT_WEIGHT: 100\n")).number("alpha"), 100);
  EXPECT_TRUE(noted(translated(config("SIMKD", "SIMKD:\n  FACTOR: 4\n")),
                    "SIMKD.FACTOR is not translated: here it is 2"));
}

TEST(MdistillerForks, LdrldsRateRisesWithoutTheSlip) {
  const std::string toml = translated(config("LDRLD")).toml;
  expect_contains(toml, "ramp = 20");
  expect_contains(toml, "schedule.ramp_slip=true");
}

// Two codes called themselves so; only one of them standardises, and a file's own switch decides.
TEST(MdistillerForks, KdOursIsTwoCodes) {
  expect_contains(translated(config("KD_ours")).toml, "--set method.standardize=false");
  const Translated plain = translated(config("KD_ours") + "DATASET: {TYPE: cifar100}\n");
  EXPECT_TRUE(plain.settings.method.flag("standardize"));
  const std::string said = "DISTILLER: {TYPE: KD_ours}\nEXPERIMENT: {LOGIT_STAND: False}\n";
  EXPECT_FALSE(translated(said).settings.method.flag("standardize"));
}

}  // namespace
}  // namespace retort
