// A task with metrics that nobody else has: files, choices and words are those that it names.
#include "distill/train/task.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "datasets/open.h"
#include "distill/study/check.h"
#include "distill/study/recorded_run.h"
#include "distill/study/run_list.h"
#include "distill/train/trainer.h"
#include "engine/base/file.h"
#include "layers/formats/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::expect_contains;
using testing::TempFolder;

// X is an error, Y a score in percent.
const Metrics& own_metrics() {
  static const Metrics all = {
      {.name = "X", .column = "X", .word = "X", .title = "X", .unit = "", .higher_is_better = false},
      {.name = "Y", .column = "Y", .word = "Y", .title = "Y", .unit = "%"}};
  return all;
}

constexpr double none = std::numeric_limits<double>::quiet_NaN();
const std::vector<double> x_of_epoch = {none, 0.5, 0.25, none, 0.375};

// Trains as a classifier does.
class OtherTask : public Task {
 public:
  explicit OtherTask(std::unique_ptr<Task> of) : of_(std::move(of)) {}

  int64_t images() const override { return of_->images(); }
  int64_t batches() const override { return of_->batches(); }
  int64_t images_before(int64_t batch) const override { return of_->images_before(batch); }
  std::string images_text() const override { return of_->images_text(); }
  void begin_epoch(int epoch, int64_t first) override {
    epoch_ = epoch;
    of_->begin_epoch(epoch, first);
  }
  void step() override { of_->step(); }
  MetricTotals& totals() override { return of_->totals(); }
  const std::vector<std::string>& term_names() const override { return of_->term_names(); }
  const Metrics& metrics() const override { return own_metrics(); }
  double trained(const MetricTotals::Values&, double) const override { return none; }
  Tested test(const Activity&) override {
    const double x = x_of_epoch.at(size_t(epoch_ - 1));
    return {valued(own_metrics(), {x, 40.0 + epoch_}), x};
  }

 private:
  std::unique_ptr<Task> of_;
  int epoch_ = 0;
};

class TaskMetrics : public ::testing::Test {
 protected:
  Summary train_to(int epochs, bool resume) {
    RunSettings settings = default_settings("train");
    settings.model = "resnet8";
    settings.data.spec = "synthetic:train=64,test=48";
    settings.device = "portable";
    settings.batch = 32;
    resolve(settings);
    settings.epochs = epochs;  // afterwards: milestones that scale with them would be other settings
    const DataSet data = open_dataset(settings.data.spec);
    Progress quiet(-1, true);
    const StopSignal stop;
    Assembly run(settings, data, quiet, {.goes_on = resume});
    run.task = std::make_unique<OtherTask>(std::move(run.task));
    const RunFolder folder(path(), resume ? RunFolder::Mode::resume : RunFolder::Mode::create);
    return train(run, folder, resume, quiet, stop, {"retort"});
  }
  std::filesystem::path path() const { return work_ / "run"; }

 private:
  TempFolder work_;
};

TEST_F(TaskMetrics, TheFirstChoosesTheBestItsOwnWay) {
  EXPECT_FALSE(train_to(1, false).best) << "a score that is none chooses nothing";
  train_to(3, true);
  const Summary summary = train_to(5, true);
  ASSERT_TRUE(summary.best && summary.last);
  EXPECT_EQ(summary.best->epoch, 3) << "the smallest of X";
  EXPECT_EQ(summary.best->first(), 0.25);
  EXPECT_EQ(summary.best->value("Y"), 43);
  EXPECT_EQ(summary.last->first(), 0.375);
  const auto metadata = read_safetensors_metadata(RunFolder::best_of(path()));
  EXPECT_EQ(metadata.at("epoch"), "3");
  EXPECT_EQ(metadata.at("X"), "0.25");
}

TEST_F(TaskMetrics, FilesAndWordsAreTheTasks) {
  train_to(3, false);
  train_to(5, true);
  const std::string csv = read_text_file(path() / "metrics.csv");
  EXPECT_TRUE(csv.starts_with("epoch,lr,train_loss,X,Y,seconds,ce\n1,")) << csv;
  const MetricsTable table = read_metrics(path() / "metrics.csv");
  ASSERT_EQ(table.rows.size(), 5u);
  EXPECT_EQ(table.rows[2].first().value, 0.25);
  EXPECT_EQ(value_of(table.rows[4].tested, "Y"), 45);

  const json summary = json::parse(read_text_file(path() / "summary.json"));
  EXPECT_EQ(summary["metrics"]["X"]["better"], "lower");
  EXPECT_EQ(summary["metrics"]["X"]["best"], 0.25);
  EXPECT_EQ(summary["metrics"]["Y"]["unit"], "%");
  EXPECT_EQ(summary["last"]["Y"], 45);
  EXPECT_FALSE(summary["last"].contains("top1"));
  const std::string curves = read_text_file(path() / "plots" / "curves.svg");
  expect_contains(curves, ">training loss</text>");
  expect_contains(curves, ">X</text>");
  EXPECT_EQ(curves.find("top-1"), std::string::npos);

  // Nothing but the files says it to those who read them.
  const std::vector<ListedRun> listed = list_runs(path());
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].summary.metrics[0].name, "X");
  EXPECT_FALSE(listed[0].summary.metrics[0].higher_is_better);
  const RunDifference difference = difference_of(path(), path());
  EXPECT_FALSE(difference.first_epoch);
  EXPECT_EQ(difference.results[2].a, "0.2500 X, epoch 3");
  EXPECT_EQ(difference.results[4].name, "last Y");
  EXPECT_EQ(difference.results[4].a, "45.00 %");
  EXPECT_EQ(read_recorded_run(path()).summary->best->first(), 0.25);
  for (const CheckedFile& file : check_path(path()).files)
    EXPECT_EQ(file.status, CheckedFile::Status::ok) << file.path << ": " << file.reason;
}

}  // namespace
}  // namespace retort
