// Folders of runs made of nothing but their records: what `compare` and `report` read.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "distill/run/run_record.h"
#include "distill/run/sealed.h"
#include "distill/settings/setting_keys.h"
#include "distill/settings/settings.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {

struct FakeRun {
  std::string status = "finished";
  double best = 50, last = 50;
  uint64_t seed = 1;
  std::string weights_hash = {};  // empty: of the settings, the seed and the results
  std::string teacher_hash = {};
  std::string data_hash = {};  // empty: no env.json
};

class FakeRuns {
 public:
  void add(const std::string& folder, RunSettings settings, const FakeRun& run) {
    settings.seed = run.seed;
    const std::string place = "s/" + folder;
    work_.write(place + "/config.toml", sealed(settings_toml(settings)));
    Summary summary;
    summary.status = run.status;
    summary.command = settings.command;
    summary.model = settings.model;
    summary.method = settings.method.method().name;
    summary.data = settings.data.spec;
    summary.device = "portable";
    summary.seed = run.seed;
    summary.epochs = settings.epochs;
    summary.epochs_done = 2;
    summary.seconds = 12;
    summary.best_by = "test";
    summary.best = EpochResult{1, valued(summary.metrics, {run.best, 90, 1})};
    summary.last = EpochResult{2, valued(summary.metrics, {run.last, 90, 1})};
    summary.weights_hash = run.weights_hash.empty() ? hash_of_run(settings, run) : run.weights_hash;
    summary.teacher_hash = run.teacher_hash;
    write_summary(work_ / (place + "/summary.json"), summary);
    work_.write(place + "/metrics.csv",
                "epoch,lr,train_loss,train_acc,test_loss,test_acc,test_acc_top5,seconds,ce\n"
                "1,0.05,2,30,2," +
                    std::to_string(run.best) + ",60,1,2\n2,0.05,1,40,1," + std::to_string(run.last) +
                    ",70,1,1\n");
    if (!run.data_hash.empty())
      work_.write(place + "/env.json", "{\"data_hash\": \"" + run.data_hash + "\"}\n");
  }
  void add(const std::string& folder, const RunSettings& settings, const std::string& status, double best,
           double last, uint64_t seed = 1) {
    add(folder, settings, {.status = status, .best = best, .last = last, .seed = seed});
  }

  // A resnet8, taught by a resnet20 unless the method is ce: two epochs.
  static RunSettings settings(const std::string& method, int epochs = 2) {
    RunSettings s = default_settings(method == "ce" ? "train" : "distill");
    s.model = "resnet8";
    s.epochs = epochs;
    s.data.spec = "cifar100:/nowhere";
    set_key(s, "method.name", method);
    if (method != "ce") s.teacher = "elsewhere/teacher";
    if (method != "ce") s.teacher_model = "resnet20";
    resolve(s);
    return s;
  }

  std::filesystem::path folder() const { return work_ / "s"; }
  const TempFolder& work() const { return work_; }

 private:
  static std::string hash_of_run(const RunSettings& settings, const FakeRun& run) {
    const size_t hash = std::hash<std::string>()(settings_toml(settings) + std::to_string(run.last) +
                                                 std::to_string(run.best) + run.teacher_hash + run.data_hash);
    return std::to_string(hash % 10'000'000'000'000'000u);
  }

  TempFolder work_;
};

}  // namespace retort::testing
