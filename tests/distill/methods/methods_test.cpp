// Methods by name: settings and their errors, cross-entropy and warm-up, gradients of every method and
// switch, and the published example's values.
#include "distill/methods/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "distill/methods/loss_probe.h"
#include "layers/module.h"
#include "tests/support/class_similarity.h"
#include "tests/support/closed_formula.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;
using Values = std::vector<double>;
using Keys = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<Device> portable() {
  return Device::open({.name = "portable", .threads = 1});
}

MethodSettings settings_of(const std::string& method, const Keys& keys = {}) {
  MethodSettings settings = method_settings(method);
  for (const auto& [key, value] : keys) settings.set(key, value);
  return settings;
}

ProbeInput example() {
  return {.samples = 2,
          .classes = 6,
          .student = {1, 1, -.5, .2, .3, -1, .5, 1.5, -1, 1.2, -.2, 0},
          .teacher = {2, .5, -1, 0, 1, -.5, 0, 3, -2, 1, -1, .5},
          .labels = {0, 3}};
}

double abs_sum(const Values& values) {
  double sum = 0;
  for (const double x : values) sum += std::abs(x);
  return sum;
}

TEST(Methods, ReferenceValues) {
  struct Case {
    std::string method;
    Keys keys;
    double value, gradient;  // gradient: the sum of its absolute values, 0: not known
  };
  const Case cases[] = {
      {"pcd-released", {{"temperature", "1"}}, 2.1444571895, 0},
      {"pcd-released", {}, 3.4995279038, 0},
      {"pcd-released", {{"temperature", "1"}, {"standardize", "true"}}, 0.9882133035, 0},
      {"pcd-released", {{"standardize", "true"}}, 1.3759512008, 0},
      {"pcd", {{"temperature", "1"}}, 0.1138900089, 0},
      {"pcd", {}, 0.0556365667, 0},
      {"pcd", {{"temperature", "1"}, {"stages", "5"}}, 0.1221285261, 0},
      {"pcd", {{"stages", "5"}}, 0.0568595523, 0},
      {"pcd", {{"temperature", "1"}, {"stages", "1"}}, 0.0793204839, 0},
      {"pcd", {{"stages", "1"}}, 0.0136412270, 0},
      {"pcd", {{"temperature", "1"}, {"standardize", "true"}}, 0.0771047648, 0},
      {"pcd", {{"standardize", "true"}}, 0.0123387384, 0},
      {"kd", {{"alpha", "1"}}, 0.3052815074, 0.6989347358},
      {"kd", {{"alpha", "1"}, {"temperature", "2"}, {"standardize", "true"}}, 0.1193553898, 0.5280218334},
      {"dkd", {}, 2.5856637907, 5.7671029739},
      {"dist", {}, 5.2052517651, 22.3540604460},
      {"rld", {}, 1.5382234443, 4.5663089409},
      {"rld", {{"temperature_a", "4"}}, 1.5054813458, 4.4111970828},
      {"nkd", {}, 2.1487163803, 1.1702587652},
      {"nkd", {{"gamma", "3.5"}, {"temperature", "3"}}, 48.9809731000, 2.7583676552},
      {"mlkd", {}, 0.6933803178, 1.5821713581},
      {"ctkd", {{"alpha", "1"}}, 0.2813808391, 0.6607438749},
  };
  const auto device = portable();
  for (const Case& c : cases) {
    const ProbeResult result = probe_loss(settings_of(c.method, c.keys), *device, example());
    EXPECT_NEAR(result.loss, c.value, 6e-11) << c.method;
    if (c.gradient != 0) {
      EXPECT_NEAR(abs_sum(result.gradient), c.gradient, 6e-11) << c.method;
    }
  }
}

TEST(Methods, MlkdOfTwoViews) {
  const auto device = portable();
  ProbeInput input = example();
  input.strong_student = {.8, .6, -.2, .1, .4, -.7, .3, 1, -.8, .9, 0, -.1};
  input.strong_teacher = {1.5, 0, -.5, .5, .5, -1, .5, 2, -1.5, 1.5, -.5, 0};
  const ProbeResult plain = probe_loss(settings_of("mlkd"), *device, input);
  EXPECT_NEAR(plain.loss, 1.6131751795, 6e-11);
  EXPECT_NEAR(abs_sum(plain.gradient), 2.8451218142, 6e-11);
  const MethodSettings standardised =
      settings_of("mlkd", {{"beta", "9"}, {"temperature", "2"}, {"standardize", "true"}});
  const ProbeResult result = probe_loss(standardised, *device, input);
  EXPECT_NEAR(result.loss, 6.7196224541, 6e-11);
  EXPECT_NEAR(abs_sum(result.gradient), 21.0958367569, 6e-11);
}

TEST(Methods, PcdGradientOfTheExample) {
  const Values expected = {-.0101255898, .0110874303,  .0032283653, .0032749351, -.0038598215, -.0036053193,
                           .0068698436,  -.0873923177, .0495371350, .0062310035, .0298990062,  -.0051446706};
  const ProbeResult result = probe_loss(settings_of("pcd"), *portable(), example());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(result.gradient[i], expected[i], 6e-11) << i;
}

// Whatever else the method reads: a second view, how alike classes are.
ProbeInput completed(ProbeInput input, const MethodSettings& settings) {
  if (views_read(settings) == 2) {
    input.strong_student = closed_values("strong.student", input.samples * input.classes, 2);
    input.strong_teacher = closed_values("strong.teacher", input.samples * input.classes, 2);
  }
  if (settings.method().reads.class_similarity) input.class_similarity = some_class_similarity(input.classes);
  return input;
}

std::vector<MethodSettings> every_method_and_switch() {
  std::vector<MethodSettings> all;
  for (const MethodInfo& method : methods()) {
    if (method.reads.features) continue;
    all.push_back(settings_of(method.name));
    for (const MethodKey& key : method.keys) {
      if (key.kind == MethodKey::flag) all.push_back(settings_of(method.name, {{key.name, "true"}}));
      for (const std::string& choice : key.choices)
        all.push_back(settings_of(method.name, {{key.name, choice}}));
      if (key.name == "temperature") all.push_back(settings_of(method.name, {{key.name, "1.5"}}));
      if (key.name == "stages") all.push_back(settings_of(method.name, {{key.name, "5"}}));
    }
  }
  return all;
}

TEST(Methods, GradientsAgreeWithFiniteDifferences) {
  const int64_t samples = 5, classes = 11;
  const auto device = portable();
  for (const MethodSettings& settings : every_method_and_switch()) {
    if (settings.method().name == "rc")
      continue;  // a part of its target is the student itself, as a constant
    std::string what = settings.method().name;
    for (const MethodSettings::Value& v : settings.list()) what += " " + v.key.name + "=" + v.text;
    const ProbeInput input = completed({.samples = samples,
                                        .classes = classes,
                                        .student = closed_values("fd.student", samples * classes, 2),
                                        .teacher = closed_values("fd.teacher", samples * classes, 2),
                                        .labels = {0, 3, 10, 7, 7}},
                                       settings);
    const Values gradient = probe_loss(settings, *device, input).gradient;
    const double size = abs_sum(gradient) / double(gradient.size()), h = 1e-4;
    for (size_t i = 0; i < gradient.size(); ++i) {
      const auto at = [&](double step) {
        ProbeInput moved = input;
        moved.student[i] += step;
        return probe_loss(settings, *device, moved).loss;
      };
      // Fourth order: the error is h^4 f^(5) / 30.
      const double numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      ASSERT_NEAR(gradient[i], numeric, 1e-7 * std::max(std::abs(numeric), size))
          << what << ", element " << i;
    }
  }
}

TEST(Methods, DefaultsAreThePapers) {
  const auto expect = [](const std::string& method, const std::vector<std::pair<std::string, double>>& keys) {
    const MethodSettings settings = method_settings(method);
    for (const auto& [key, value] : keys) EXPECT_EQ(settings.number(key), value) << method << " " << key;
  };
  expect("ce", {{"ce_weight", 1}});
  expect("kd", {{"ce_weight", 0.1}, {"alpha", 0.9}, {"temperature", 4}, {"warmup", 0}});
  expect("dkd", {{"ce_weight", 1}, {"alpha", 1}, {"beta", 8}, {"temperature", 4}, {"warmup", 20}});
  expect("dist", {{"ce_weight", 1}, {"beta", 2}, {"gamma", 2}, {"temperature", 4}, {"warmup", 0}});
  expect("nkd", {{"ce_weight", 1}, {"gamma", 1.5}, {"temperature", 1}, {"warmup", 0}});
  expect("rld", {{"ce_weight", 1},
                 {"alpha", 1},
                 {"beta", 8},
                 {"temperature", 4},
                 {"temperature_a", 1},
                 {"warmup", 20}});
  expect("mlkd", {{"ce_weight", 0.1}, {"beta", 0.9}, {"temperature", 4}, {"warmup", 0}});
  expect("ctkd", {{"ce_weight", 0.1}, {"alpha", 0.9}, {"theta", 1}, {"curriculum", 10}, {"warmup", 0}});
  expect("pcd", {{"ce_weight", 1}, {"alpha", 1}, {"temperature", 4}, {"warmup", 20}});
  expect("pcd-released", {{"ce_weight", 1}, {"alpha", 1}, {"temperature", 4}, {"warmup", 20}});
  expect("swap", {{"ce_weight", 0}, {"alpha", 1}, {"temperature", 4}, {"warmup", 0}});
  expect("rc", {{"ce_weight", 1}, {"alpha", 1}, {"beta", 0.1}, {"temperature", 4}, {"warmup", 0}});
  expect("revision", {{"ce_weight", 0}, {"alpha", 4}, {"beta", 1}, {"lambda", 0.8}, {"warmup", 0}});
  expect("ttm", {{"ce_weight", 1}, {"gamma", 0.1}, {"beta", 45}, {"warmup", 0}});
  expect("wttm", {{"ce_weight", 1}, {"gamma", 0.2}, {"beta", 4}, {"warmup", 0}});
  expect("gdkd", {{"ce_weight", 1}, {"w0", 1}, {"w1", 1}, {"w2", 8}, {"temperature", 4}, {"warmup", 20}});
  expect("ldrld", {{"ce_weight", 1}, {"alpha", 10.5}, {"beta", 7}, {"temperature", 4}, {"warmup", 0}});
  expect("wkd-l", {{"ce_weight", 1},
                   {"alpha", 600},
                   {"scale", 1},
                   {"temperature", 8},
                   {"decay_from", 150},
                   {"warmup", 0}});
  expect("crld", {{"ce_weight", 1},
                  {"alpha", 2},
                  {"beta", 0.5},
                  {"threshold", 0.9},
                  {"strong_threshold", 0.2},
                  {"temperature", 4},
                  {"warmup", 0}});
  expect("ls-ce", {{"ce_weight", 1}, {"smoothing", 0.1}});
  expect("tfkd-reg", {{"alpha", 0.1}, {"temperature", 20}, {"multiplier", 100}});
  EXPECT_EQ(method_settings("gdkd").integer("k"), 5);
  EXPECT_EQ(method_settings("ldrld").integer("k"), 7);
  EXPECT_EQ(views_read(method_settings("crld")), 2);
  expect("fitnet", {{"ce_weight", 1}, {"alpha", 100}, {"warmup", 0}});
  expect("at", {{"ce_weight", 1}, {"alpha", 1000}, {"warmup", 0}});
  expect("rkd", {{"ce_weight", 1}, {"alpha", 25}, {"beta", 50}, {"warmup", 0}});
  expect("crd", {{"ce_weight", 1}, {"alpha", 0.8}, {"temperature", 0.07}, {"momentum", 0.5}, {"warmup", 0}});
  expect("sp", {{"ce_weight", 1}, {"alpha", 3000}, {"warmup", 0}});
  expect("pkt", {{"ce_weight", 1}, {"alpha", 30000}, {"warmup", 0}});
  expect("nst", {{"ce_weight", 1}, {"alpha", 50}, {"warmup", 0}});
  expect("vid", {{"ce_weight", 1}, {"alpha", 1}, {"variance", 5}, {"warmup", 0}});
  expect("ofd", {{"ce_weight", 1}, {"alpha", 0.001}, {"warmup", 0}});
  expect("kdsvd", {{"ce_weight", 1}, {"alpha", 1}, {"warmup", 0}});
  expect("simkd", {{"ce_weight", 0}, {"alpha", 1}, {"warmup", 0}});
  expect("sdd-kd", {{"ce_weight", 0.1}, {"alpha", 0.9}, {"temperature", 4}, {"warmup", 0}});
  expect("sdd-dkd", {{"ce_weight", 1}, {"alpha", 1}, {"beta", 8}, {"temperature", 4}, {"warmup", 20}});
  expect("sdd-nkd", {{"ce_weight", 1}, {"gamma", 8}, {"temperature", 4}, {"warmup", 20}});
  EXPECT_FALSE(method_settings("vid").flag("fixed_variance"));
  EXPECT_FALSE(method_settings("sdd-nkd").flag("all_classes"));
  expect("reviewkd", {{"ce_weight", 1}, {"alpha", 5}, {"warmup", 20}});
  EXPECT_EQ(method_settings("mlkd").integer("views"), 1);
  EXPECT_EQ(method_settings("crd").integer("negatives"), 16384);
  EXPECT_EQ(method_settings("crd").integer("width"), 128);
  EXPECT_EQ(method_settings("fitnet").integer("stage"), 2);
  EXPECT_EQ(method_settings("pcd").integer("stages"), 3);
  EXPECT_EQ(method_settings("pcd").choice("ranking"), "difference");
  EXPECT_FALSE(method_settings("pcd").flag("standardize"));
}

TEST(Methods, DefaultsPassTheirOwnChecks) {
  for (const MethodInfo& method : methods()) {
    MethodSettings settings = method_settings(method.name);
    for (const MethodKey& key : method.keys)
      EXPECT_NO_THROW(settings.set(key.name, key.fallback)) << method.name;
  }
}

TEST(Methods, WhatIsSetIsListedAndSetAgain) {
  MethodSettings settings = settings_of("pcd", {{"alpha", "2.5"}, {"weight", "none"}});
  EXPECT_TRUE(settings.is_set("alpha"));
  EXPECT_FALSE(settings.is_set("warmup"));
  MethodSettings again = method_settings("pcd");
  for (const MethodSettings::Value& value : settings.list()) again.set(value.key.name, value.text);
  EXPECT_EQ(again.number("alpha"), 2.5);
  EXPECT_EQ(again.choice("weight"), "none");
  EXPECT_EQ(again.number("temperature"), 4);
}

TEST(Methods, WrongSettingsAreNamed) {
  expect_contains(error_of(Fault::usage, [] { method_settings("pcd_released"); }),
                  "did you mean 'pcd-released'");
  const auto error = [](const std::string& method, const std::string& key, const std::string& value) {
    return error_of(Fault::usage, [&] { settings_of(method, {{key, value}}); });
  };
  expect_contains(error("pcd", "stage", "3"), "did you mean 'stages'");
  expect_contains(error("kd", "stages", "3"), "method kd has no key 'stages'");
  expect_contains(error("kd", "temperature", "0"), "temperature is '0', expected a number of at least 0.001");
  expect_contains(error("kd", "temperature", "-1"), "of at least 0.001");
  expect_contains(error("kd", "temperature", "nan"), "expected a number");
  // What f32 cannot hold the square of, or the quotient by.
  expect_contains(error("kd", "temperature", "1e30"), "and at most 1000000");
  expect_contains(error("kd", "temperature", "1e-30"), "of at least 0.001");
  expect_contains(error("kd", "alpha", "1e30"), "and at most 1000000");
  expect_contains(error("kd", "alpha", "inf"), "expected a number");
  expect_contains(error("mlkd", "views", "0"), "an integer of at least 1");
  expect_contains(error_of(Fault::usage,
                           [] {
                             views_read(settings_of("mlkd", {{"views", "3"}}));
                           }),
                  "expected 1 or 2");
  EXPECT_EQ(views_read(settings_of("mlkd", {{"views", "2"}})), 2);
  EXPECT_EQ(views_read(settings_of("kd")), 1);
  expect_contains(error("kd", "alpha", "1x"), "expected a number");
  expect_contains(error("kd", "alpha", ""), "expected a number");
  expect_contains(error("pcd", "stages", "0"), "an integer of at least 1");
  expect_contains(error("pcd", "stages", "2.5"), "an integer of at least 1");
  expect_contains(error("pcd", "direction", "up"), "one of both, fine-to-coarse, coarse-to-fine");
  expect_contains(error("pcd", "standardize", "yes"), "true or false");
}

// The training loss of a method on the example in the given epoch.
std::vector<std::pair<std::string, double>> training_terms(const MethodSettings& settings, int epoch,
                                                           double* sum = nullptr) {
  const auto device = portable();
  const ProbeInput input = example();
  const Pass pass{*device};
  const Var student = pass.make({2, 6}, DType::f64), teacher = pass.make({2, 6}, DType::f64);
  const Var labels = pass.make({2}, DType::i32);
  write_values(*device, student, input.student);
  write_values(*device, teacher, input.teacher);
  const int32_t values[] = {0, 3};
  device->backend().upload(labels, values);
  const auto distiller = make_distiller(settings, *device);
  distiller->begin_epoch(epoch);
  const std::vector<LossTerm> terms = distiller->terms({{student, teacher}, labels}, pass);
  if (sum) *sum = read_values(*device, total(terms, pass))[0];
  std::vector<std::pair<std::string, double>> result;
  for (const LossTerm& term : terms) result.push_back({term.name, read_values(*device, term.value)[0]});
  return result;
}

TEST(Methods, TrainingAddsWeightedCrossEntropy) {
  const double ce = training_terms(settings_of("ce"), 1)[0].second;
  EXPECT_GT(ce, 0);
  double sum = 0;
  const auto terms = training_terms(settings_of("kd"), 1, &sum);
  ASSERT_EQ(terms.size(), 2u);
  EXPECT_EQ(terms[0].first, "ce");
  EXPECT_NEAR(terms[0].second, 0.1 * ce, 1e-12);
  EXPECT_NEAR(terms[1].second, 0.9 * 0.3052815074, 1e-10);
  EXPECT_NEAR(sum, terms[0].second + terms[1].second, 1e-15);
  EXPECT_EQ(training_terms(settings_of("kd", {{"ce_weight", "0"}}), 1).size(), 1u);
}

TEST(Methods, CrossEntropyIsOnRawLogits) {
  EXPECT_EQ(training_terms(settings_of("pcd"), 1)[0].second,
            training_terms(settings_of("pcd", {{"standardize", "true"}}), 1)[0].second);
}

TEST(Methods, WarmUpGrowsByEpochAndLeavesCrossEntropyAlone) {
  const double full = 0.0556365667;
  for (const auto& [epoch, weight] :
       std::vector<std::pair<int, double>>{{1, 0.05}, {10, 0.5}, {20, 1}, {21, 1}}) {
    const auto terms = training_terms(settings_of("pcd"), epoch);
    EXPECT_NEAR(terms[1].second, weight * full, 1e-10) << "epoch " << epoch;
    EXPECT_EQ(terms[0].second, training_terms(settings_of("pcd"), 100)[0].second);
  }
  EXPECT_NEAR(training_terms(settings_of("pcd", {{"warmup", "0"}}), 1)[1].second, full, 1e-10);
}

TEST(Methods, TheTransportCostFallsToNothing) {
  const auto device = portable();
  const ProbeInput input = example();
  MethodContext context(DType::f64);
  context.epochs = 240;
  context.class_similarity = some_class_similarity(6);
  const auto distiller = make_distiller(settings_of("wkd-l"), *device, context);
  const auto transport = [&](int epoch) {
    device->step_arena().rewind();
    const Pass pass{*device};
    const Var student = pass.make({2, 6}, DType::f64), teacher = pass.make({2, 6}, DType::f64);
    const Var labels = pass.make({2}, DType::i32);
    write_values(*device, student, input.student);
    write_values(*device, teacher, input.teacher);
    const int32_t values[] = {0, 3};
    device->backend().upload(labels, values);
    distiller->begin_epoch(epoch);
    return read_values(*device,
                       distiller->distillation_terms({{student, teacher}, labels}, pass)[1].value)[0];
  };
  const double full = transport(1);
  EXPECT_GT(full, 0);
  EXPECT_EQ(transport(150), full);
  EXPECT_NEAR(transport(180), 0.75 * full, 1e-12 * full);  // (1 + cos(pi / 3)) / 2
  EXPECT_NEAR(transport(195), 0.5 * full, 1e-12 * full);
  EXPECT_NEAR(transport(240), 0, 1e-12 * full);
}

// What is said of a batch, where it can be asked on logits: whether the loss is the mean of its halves'.
TEST(Methods, RelateSamplesWhereTheySaySo) {
  const int64_t classes = 7;
  const auto device = portable();
  for (const MethodInfo& method : methods()) {
    if (method.reads.features) continue;
    const MethodSettings settings = method_settings(method.name);
    const ProbeInput whole = completed({.samples = 6,
                                        .classes = classes,
                                        .student = closed_values("halves.student", 6 * classes, 2),
                                        .teacher = closed_values("halves.teacher", 6 * classes, 2),
                                        .labels = {0, 1, 2, 3, 4, 5}},
                                       settings);
    const auto half = [&](int64_t first) {
      ProbeInput part = whole;
      part.samples = 3;
      for (Values* values : {&part.student, &part.teacher, &part.strong_student, &part.strong_teacher}) {
        if (values->empty()) continue;
        values->erase(values->begin(), values->begin() + first * classes);
        values->resize(size_t(3 * classes));
      }
      part.labels.erase(part.labels.begin(), part.labels.begin() + first);
      part.labels.resize(3);
      return probe_loss(settings, *device, part).loss;
    };
    const double all = probe_loss(settings, *device, whole).loss, gap = all - (half(0) + half(3)) / 2;
    if (method.reads.batch) {
      EXPECT_GT(std::abs(gap), 1e-6 * std::abs(all)) << method.name;
    } else {
      EXPECT_NEAR(gap, 0, 1e-12 * std::abs(all)) << method.name;
    }
  }
}

TEST(Methods, SharesAreAtMostOne) {
  const auto device = portable();
  for (const auto& [method, key] : std::vector<std::pair<std::string, std::string>>{
           {"ls-ce", "smoothing"}, {"tfkd-reg", "alpha"}, {"revision", "lambda"}, {"crld", "threshold"}}) {
    const auto too_large = [&, &whose = method, &share = key] {
      make_distiller(settings_of(whose, {{share, "1.5"}}), *device);
    };
    expect_contains(error_of(Fault::usage, too_large), "expected a number from 0 to 1");
  }
  expect_contains(error_of(Fault::usage, [&] { make_distiller(settings_of("wkd-l"), *device); }),
                  "how alike a teacher sees the classes");
}

// More of the best classes than there are: what is left is the divergence over all of them.
TEST(Methods, TopClassesOfAll) {
  const auto device = portable();
  const auto loss = [&](const std::string& method, const Keys& keys) {
    return probe_loss(settings_of(method, keys), *device, example()).loss;
  };
  const double kd = loss("kd", {{"alpha", "1"}});
  EXPECT_NEAR(loss("gdkd", {{"k", "6"}}), kd, 1e-14);
  EXPECT_NEAR(loss("gdkd", {{"k", "50"}}), kd, 1e-14);
  EXPECT_NEAR(loss("ldrld", {{"k", "1"}, {"alpha", "1"}, {"beta", "0"}}), 0, 1e-15);
  EXPECT_EQ(loss("ldrld", {{"k", "6"}}), loss("ldrld", {{"k", "50"}}));
}

TEST(Methods, CtkdLearnsItsTemperatureAgainstTheLoss) {
  const auto device = portable();
  const auto distiller = make_distiller(settings_of("ctkd"), *device, DType::f64);
  const std::vector<NamedParameter> learned = parameters_of(*distiller);
  ASSERT_EQ(learned.size(), 1u);
  EXPECT_EQ(learned[0].name, "theta");
  const ProbeInput input = example();
  for (const auto& [epoch, reversal] :
       std::vector<std::pair<int, double>>{{1, -0.0244717419}, {5, -0.5}, {10, -1}, {200, -1}}) {
    device->step_arena().rewind();
    distiller->begin_epoch(epoch);
    Tape tape(*device);
    const Pass pass{*device, &tape, true};
    const Var student = pass.make({2, 6}, DType::f64), teacher = pass.make({2, 6}, DType::f64);
    write_values(*device, student, input.student);
    write_values(*device, teacher, input.teacher);
    tape.backward(total(distiller->distillation_terms({{tape.leaf(student), teacher}, {}, {}}, pass), pass));
    EXPECT_NEAR(read_values(*device, learned[0].parameter->grad)[0], 0.9 * reversal * -0.0025257118, 6e-11)
        << epoch;
  }
}

TEST(Methods, ASecondViewHasItsOwnCrossEntropy) {
  const auto device = portable();
  const Pass pass{*device};
  const Var logits = pass.make({2, 6}, DType::f64), labels = pass.make({2}, DType::i32);
  write_values(*device, logits, example().student);
  const int32_t values[] = {0, 3};
  device->backend().upload(labels, values);
  const auto distiller = make_distiller(settings_of("mlkd"), *device, DType::f64);
  const auto ce = [&](const Logits& strong) {
    return read_values(*device, distiller->terms({{logits, logits}, labels, strong}, pass)[0].value)[0];
  };
  EXPECT_NEAR(ce({logits, logits}), 2 * ce({}), 1e-15);
}

TEST(Methods, ProbeNamesWhatDoesNotFit) {
  const auto device = portable();
  const auto error = [&](const std::string& method, auto change, Fault fault = Fault::input) {
    return error_of(fault, [&] {
      ProbeInput input = example();
      change(input);
      probe_loss(method_settings(method), *device, input);
    });
  };
  expect_contains(error(
                      "dkd", [](ProbeInput& in) { in.labels.clear(); }, Fault::usage),
                  "method dkd reads labels");
  expect_contains(error("kd", [](ProbeInput& in) { in.labels = {0}; }), "1 labels for 2 samples");
  expect_contains(error("kd", [](ProbeInput& in) { in.labels = {0, 6}; }), "label 1 is 6, expected 0 to 5");
  expect_contains(error("kd", [](ProbeInput& in) { in.labels = {-1, 0}; }), "label 0 is -1");
  expect_contains(error("kd", [](ProbeInput& in) { in.teacher.pop_back(); }),
                  "teacher's logits have 11 numbers");
  expect_contains(error("kd", [](ProbeInput& in) { in.samples = 0; }), "0 x 6");
  expect_contains(
      error(
          "kd", [](ProbeInput& in) { in.strong_student = in.strong_teacher = in.student; }, Fault::usage),
      "method kd reads one view");
  expect_contains(error("mlkd", [](ProbeInput& in) { in.strong_student = in.student; }), "have 0 numbers");
  ProbeInput one{.samples = 1, .classes = 1, .student = {1}, .teacher = {2}, .labels = {0}};
  expect_contains(error_of(Fault::usage, [&] { probe_loss(method_settings("dkd"), *device, one); }),
                  "needs at least 2");
}

TEST(Methods, OneSampleAndOneClassAreNoSpecialCase) {
  const auto device = portable();
  for (const MethodInfo& method : methods()) {
    if (method.reads.features) continue;
    ProbeInput input{
        .samples = 1, .classes = 4, .student = {1, 2, 3, 4}, .teacher = {2, 2, 1, 0}, .labels = {3}};
    const MethodSettings settings = method_settings(method.name);
    const ProbeResult result = probe_loss(settings, *device, completed(input, settings));
    EXPECT_TRUE(std::isfinite(result.loss)) << method.name;
    for (const double g : result.gradient) EXPECT_TRUE(std::isfinite(g)) << method.name;
  }
  for (const std::string method : {"ce", "kd", "dist", "pcd-released"}) {
    ProbeInput input{.samples = 2, .classes = 1, .student = {1, 2}, .teacher = {2, 2}, .labels = {0, 0}};
    const ProbeResult result = probe_loss(method_settings(method), *device, input);
    EXPECT_TRUE(std::isfinite(result.loss)) << method;
    EXPECT_EQ(result.gradient, (Values{0, 0})) << method;
  }
}

TEST(Methods, ExtremeLogitsStayFinite) {
  const auto device = portable();
  for (const DType type : {DType::f32, DType::f64}) {
    for (const MethodSettings& settings : every_method_and_switch()) {
      ProbeInput input{.samples = 4,
                       .classes = 9,
                       .student = closed_values("extreme.student", 36, 1e4),
                       .teacher = closed_values("extreme.teacher", 36, 1e4),
                       .labels = {0, 1, 2, 3},
                       .arithmetic = type};
      for (int i = 0; i < 9; ++i)
        input.student[size_t(i)] = input.teacher[size_t(9 + i)] = 7;  // equal logits
      const ProbeResult result = probe_loss(settings, *device, completed(input, settings));
      EXPECT_TRUE(std::isfinite(result.loss)) << settings.method().name << " in " << type;
      for (const double g : result.gradient)
        ASSERT_TRUE(std::isfinite(g)) << settings.method().name << " in " << type;
    }
  }
}

}  // namespace
}  // namespace retort
