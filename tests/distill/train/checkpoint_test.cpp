// A checkpoint holds what the method learns beside the model, and nobody mistakes it for the model's.
#include "distill/train/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "distill/methods/registry.h"
#include "models/weights.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

struct Training {
  std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 1});
  std::unique_ptr<Model> model;
  std::unique_ptr<Distiller> distiller;
  std::unique_ptr<Sgd> optimizer;

  explicit Training(const std::string& method) {
    model = make_model("resnet8", *device, {.classes = 10});
    initialize(*model, *device, 1);
    distiller = make_distiller(method_settings(method), *device);
    optimizer = std::make_unique<Sgd>(*device, learned_parameters(*model, *distiller), SgdOptions{});
  }
  TrainingState state() { return {*model, *distiller, *optimizer, *device}; }
  const Array& theta() { return parameters_of(*distiller).at(0).parameter->value; }
};

TEST(Checkpoint, KeepsWhatTheMethodLearns) {
  const testing::TempFolder work;
  Training run("ctkd");
  write_values(*run.device, run.theta(), {1.75});
  for (const auto& [name, momentum] : run.optimizer->momenta()) {
    if (name == "distiller.theta") write_values(*run.device, momentum, {-0.5});
  }
  save_checkpoint(work / "c.safetensors", {}, run.state(), Counters{}, {}, {});

  Training later("ctkd");
  load_checkpoint(work / "c.safetensors", later.state());
  EXPECT_EQ(read_values(*later.device, later.theta())[0], 1.75);
  const auto momenta = later.optimizer->momenta();
  EXPECT_EQ(momenta.back().first, "distiller.theta");
  EXPECT_EQ(read_values(*later.device, momenta.back().second)[0], -0.5);
}

// A detector's counters once had a classifier's names; a metric that was none is null.
TEST(Checkpoint, CountersNameTheirMetrics) {
  Counters counters;
  counters.epoch = 2;
  counters.best_score = 20;
  counters.best = counters.last = EpochResult{1, valued(detection_metrics(), {20, 45, -1})};
  const std::string now = counters_text(counters);
  testing::expect_contains(now, R"("last":{"AP":20.0,"AP50":45.0,"AP75":-1.0,"epoch":1})");
  std::string before = now;
  for (const auto& [name, old] :
       {std::pair<std::string, std::string>{"AP50", "top5"}, {"AP75", "loss"}, {"AP", "top1"}})
    for (size_t at; (at = before.find('"' + name + '"')) != before.npos;)
      before.replace(at + 1, name.size(), old);
  for (const std::string& text : {now, before}) {
    const Counters read = counters_from(text, "c", detection_metrics());
    EXPECT_EQ(read.best->value("AP"), 20);
    EXPECT_EQ(read.last->value("AP50"), 45);
    EXPECT_EQ(read.last->value("AP75"), -1);
  }
  testing::error_of(Fault::input, [&] { counters_from(now, "c"); });
  const std::string lists = std::string(300'000, '[') + std::string(300'000, ']');
  testing::expect_contains(
      testing::error_of(Fault::input, [&] { counters_from(R"({"epoch": )" + lists + "}", "c"); }),
      "nested deeper");
  counters.best = counters.last = EpochResult{1, valued(classification_metrics(), {20, 45, std::nan("")})};
  EXPECT_TRUE(std::isnan(counters_from(counters_text(counters), "c").last->value("loss")));
  testing::expect_contains(counters_text(counters),
                           R"("last":{"epoch":1,"loss":null,"top1":20.0,"top5":45.0})");
}

TEST(Checkpoint, IsTheModelsWeightsForEverybodyElse) {
  const testing::TempFolder work;
  Training run("ctkd");
  save_checkpoint(work / "c.safetensors", {}, run.state(), Counters{}, {}, {});
  const Weights weights = open_weights((work / "c.safetensors").string());
  EXPECT_EQ(model_tensors(weights.file).size(), state_of(*run.model, *run.device).size());
  EXPECT_NO_THROW(load_model(weights, "", *run.device));
}

TEST(Checkpoint, TotalsGoOnWithTheirTermsBeforeTheNextStep) {
  const auto device = Device::open({.name = "portable"});
  MetricTotals totals(*device);
  totals.restore({.loss = 3, .top1 = 2, .top5 = 1, .terms = {5, 7}});
  EXPECT_EQ(totals.read().terms, (std::vector<double>{5, 7}));
  EXPECT_EQ(totals.read().loss, 3);
  totals.clear();
  EXPECT_EQ(totals.read().terms, (std::vector<double>{0, 0}));
}

TEST(Checkpoint, MoreTermsThanAMethodCanHaveAreRefused) {
  const auto device = Device::open({.name = "portable"});
  MetricTotals totals(*device);
  totals.restore({.terms = std::vector<double>(13, 1.0)});
  for (const size_t count : {size_t(14), size_t(100000)}) {
    testing::expect_fault(Fault::input, "loss terms",
                          [&] { totals.restore({.terms = std::vector<double>(count, 1.0)}); });
  }
}

TEST(Checkpoint, OfAnotherMethodIsRefused) {
  const testing::TempFolder work;
  Training kd("kd"), ctkd("ctkd");
  save_checkpoint(work / "kd.safetensors", {}, kd.state(), Counters{}, {}, {});
  save_checkpoint(work / "ctkd.safetensors", {}, ctkd.state(), Counters{}, {}, {});
  for (const auto& [file, run] : {std::pair{"kd.safetensors", &ctkd}, std::pair{"ctkd.safetensors", &kd}}) {
    const std::string message =
        testing::error_of(Fault::input, [&, f = work / file, r = run] { load_checkpoint(f, r->state()); });
    testing::expect_contains(message, "theta");
    testing::expect_contains(message, "for this method");
  }
}

// A key that a later program adds, with a default that means what was done before, must refuse no checkpoint.
TEST(Checkpoint, ItsSettingsHashLeavesDefaultsOut) {
  RunSettings settings, other;
  EXPECT_EQ(settings_hash(settings), settings_hash(other));
  other.epochs = 3;
  other.threads = 2;
  other.data.workers = 0;
  other.teacher = "somewhere";
  EXPECT_EQ(settings_hash(settings), settings_hash(other));
  const std::string usual = settings_hash(settings);
  settings.optimizer.lr = 0.15;
  EXPECT_NE(settings_hash(settings), usual);
  std::vector<std::string> hashes;
  for (const MethodInfo& method : methods()) {
    settings.method = method_settings(method.name);
    hashes.push_back(settings_hash(settings));
  }
  std::sort(hashes.begin(), hashes.end());
  EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

}  // namespace
}  // namespace retort
