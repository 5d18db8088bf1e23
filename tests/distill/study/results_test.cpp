// Which runs belong together, which may be compared, and that no arrangement of folders changes it.
#include "distill/study/results.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "distill/report/analysis.h"
#include "distill/settings/setting_keys.h"
#include "distill/study/collect.h"
#include "distill/study/grouping.h"
#include "distill/study/study_run.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::FakeRun;
using testing::FakeRuns;

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

const ResultRow& row_of(const Results& results, const std::string& label) {
  for (const ResultPair& pair : results.pairs) {
    for (const ResultRow& row : pair.rows) {
      if (row.label == label) return row;
    }
  }
  ADD_FAILURE() << "there is no row " << label;
  static const ResultRow none;
  return none;
}

std::string verdict_on(const Results& results, const std::string& label) {
  for (const ResultPair& pair : results.pairs) {
    for (const ResultRow& row : pair.rows) {
      if (row.label == label) return verdict_text(against_kd(pair, row));
    }
  }
  return "no such row";
}

// The folder that made intervals of copies: kd and pcd with seed 1 twice, pcd with more epochs, dkd on more
// images, and a lone student on another data set.
TEST(Results, RunsThatDoNotBelongTogether) {
  FakeRuns runs;
  const FakeRun drawn{.best = 20, .last = 20, .teacher_hash = "t", .data_hash = "d1"};
  const auto with = [&](double last, uint64_t seed = 1) {
    FakeRun run = drawn;
    run.best = run.last = last, run.seed = seed;
    return run;
  };
  const auto settings = [](const std::string& method, int epochs = 1) {
    RunSettings s = FakeRuns::settings(method, epochs);
    s.data.spec = "synthetic";
    return s;
  };
  runs.add("one", settings("kd"), with(20));
  runs.add("two", settings("kd"), with(20));
  runs.add("three", settings("pcd"), with(25));
  runs.add("four", settings("pcd"), with(25));
  runs.add("five", settings("pcd", 4), with(40));
  RunSettings more = settings("dkd", 2);
  more.data.limit = 3000;
  runs.add("six", more, with(25));
  RunSettings other = FakeRuns::settings("ce", 1);
  runs.add("seven", other, {.best = 10, .last = 10, .data_hash = "d2"});

  const Results results = collect_results({runs.folder()});
  ASSERT_EQ(results.pairs.size(), 2u);
  EXPECT_EQ(results.pairs[0].name, "resnet20-resnet8");
  EXPECT_EQ(results.pairs[1].name, "resnet8");
  EXPECT_EQ(results.pairs[1].data_name(), "CIFAR-100");
  EXPECT_EQ(row_of(results, "kd").values(&Summary::last), std::vector<double>{20});
  EXPECT_EQ(verdict_on(results, "pcd"), "one seed: no interval");
  EXPECT_EQ(verdict_on(results, "pcd, 4 epochs"), "not comparable: 4 epochs against 1");
  EXPECT_EQ(verdict_on(results, "dkd, 2 epochs, 3000 training images"),
            "not comparable: 2 epochs against 1, 3000 training images against all");
  const std::string sentences = joined(apart_sentences(results));
  expect_contains(sentences, "kd: one run has the weights of another: a copy");
  expect_contains(sentences, "not comparable: CIFAR-100 against images drawn by the program");
  for (const ResultPair& pair : results.pairs) {
    for (const ResultRow& row : pair.rows)
      EXPECT_TRUE(row.label.find("ive") == std::string::npos) << row.label;
  }
}

TEST(Results, OnlyTheMethodMayDiffer) {
  const auto differing = [](const std::string& key, const std::string& value) {
    const RunSettings kd = FakeRuns::settings("kd");
    RunSettings other = FakeRuns::settings("pcd");
    set_key(other, key, value);
    return apart_by(other, kd);
  };
  EXPECT_EQ(differing("epochs", "7"), "7 epochs against 2");
  EXPECT_EQ(differing("batch", "32"), "batch 32 against 64");
  EXPECT_EQ(differing("optimizer.lr", "0.1"), "lr 0.1 against 0.05");
  EXPECT_EQ(differing("data.limit", "100"), "100 training images against all");
  EXPECT_EQ(differing("data.augment", "none"), "data.augment none against auto");
  EXPECT_EQ(differing("init", "w.safetensors"), "init w.safetensors against unset");
  EXPECT_EQ(differing("device", "onednn"), "device onednn against auto");
  // What changes no bit, what the pair says, and the method itself.
  for (const auto& [key, value] : std::map<std::string, std::string>{{"threads", "3"},
                                                                     {"data.workers", "1"},
                                                                     {"checkpoint_minutes", "1"},
                                                                     {"seed", "7"},
                                                                     {"teacher_source", "table"},
                                                                     {"method.temperature", "9"},
                                                                     {"boxes.background", "false"},
                                                                     {"boxes.positives", "true"}})
    EXPECT_EQ(differing(key, value), "") << key;
  // Stored in f16 the teacher is another one; a student without a teacher is not concerned.
  RunSettings stored = FakeRuns::settings("pcd");
  stored.teacher_source = "table";
  stored.teacher_table.precision = "f16";
  expect_contains(apart_by(stored, FakeRuns::settings("kd")), "f16");
  EXPECT_EQ(apart_by(stored, FakeRuns::settings("ce")), "");
}

// detection-ablation's rows had no interval: they were said to be not comparable.
TEST(Results, WhichBoxesAMethodSeesIsOfTheMethod) {
  FakeRuns runs;
  RunSettings whole = FakeRuns::settings("pcd"), objects = whole;
  objects.method_boxes.positives = true;
  for (const uint64_t seed : {1, 2}) {
    runs.add(text("w", seed), whole, {.best = 30, .last = 30 + double(seed), .seed = seed});
    runs.add(text("o", seed), objects, {.best = 20, .last = 20 + 2 * double(seed), .seed = seed});
  }
  const Results results = collect_results({runs.folder()});
  const ResultRow& other = row_of(results, "pcd, positives true");
  EXPECT_EQ(other.finished(), 2u);
  const Comparison comparison = compare_rows(row_of(results, "pcd"), other);
  EXPECT_EQ(comparison.apart, "");
  EXPECT_EQ(comparison.last.n, 2u);
  ResultPair pair = results.pairs[0];
  for (const bool published : {false, true}) {  // of a report.json with settings: its page had no answers
    if (published) pair.classes = PublishedClasses{};
    const std::vector<AblationAnswer> answers = ablation_answers(pair);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].question, "Do boxes of background help?");
  }
}

// "No seed of both is finished yet", it said, as if one would be.
TEST(Results, WhatDivergedGivesNoAnswer) {
  FakeRuns runs;
  runs.add("whole", FakeRuns::settings("pcd"), {});
  for (const uint64_t seed : {1, 2})
    runs.add(text("released", seed), FakeRuns::settings("pcd-released"),
             {.status = "diverged", .seed = seed});
  const std::vector<AblationAnswer> answers = ablation_answers(collect_results({runs.folder()}).pairs[0]);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].answer, "No answer: every run of pcd-released diverged.");
}

TEST(Results, EqualWeightsAreOneRunWhateverTheirSeeds) {
  FakeRuns runs;
  for (const uint64_t seed : {1, 2, 3}) {
    runs.add(text("kd/seed-", seed), FakeRuns::settings("kd"),
             {.best = 50, .last = 50 + double(seed), .seed = seed});
    runs.add(text("pcd/seed-", seed), FakeRuns::settings("pcd"),
             {.best = 60, .last = 60, .seed = seed, .weights_hash = "same"});
  }
  const Results results = collect_results({runs.folder()});
  EXPECT_EQ(row_of(results, "pcd").finished(), 1u);
  EXPECT_EQ(verdict_on(results, "pcd"), "one seed: no interval");
  expect_contains(joined(apart_sentences(results)), "pcd: 2 runs have the weights of another: a copy");
}

TEST(Results, AMethodWithTheVeryWeightsOfKdIsNoComparison) {
  FakeRuns runs;
  for (const uint64_t seed : {1, 2}) {
    const FakeRun run{.best = 50, .last = 50 + double(seed), .seed = seed, .weights_hash = text("w", seed)};
    runs.add(text("kd/seed-", seed), FakeRuns::settings("kd"), run);
    runs.add(text("dkd/seed-", seed), FakeRuns::settings("dkd"), run);
  }
  const Results results = collect_results({runs.folder()});
  EXPECT_EQ(verdict_on(results, "dkd"), "the same weights: no comparison");
}

TEST(Results, AnotherTeacherIsAnotherPair) {
  FakeRuns runs;
  for (const uint64_t seed : {1, 2}) {
    runs.add(text("kd/seed-", seed), FakeRuns::settings("kd"),
             {.last = 50 + double(seed), .seed = seed, .teacher_hash = "first"});
    runs.add(text("pcd/seed-", seed), FakeRuns::settings("pcd"),
             {.last = 55 + double(seed * seed), .seed = seed, .teacher_hash = "second"});
  }
  const Results results = collect_results({runs.folder()});
  ASSERT_EQ(results.pairs.size(), 2u);
  EXPECT_NE(results.pairs[0].name, results.pairs[1].name);
  EXPECT_EQ(verdict_on(results, "pcd"), "");
  expect_contains(joined(apart_sentences(results)), "not comparable: another teacher's weights");
}

TEST(Results, AKdOfTheSameTrainingMakesATableOfItsOwn) {
  FakeRuns runs;
  for (const int epochs : {1, 4}) {
    for (const uint64_t seed : {1, 2}) {
      for (const char* method : {"kd", "pcd"}) {
        const double last = 10.0 * epochs + (method[0] == 'p' ? 5 : 0) +
                            double(seed * seed) * 0.1 * (method[0] == 'p' ? 2 : 1);
        runs.add(text(method, epochs, "/seed-", seed), FakeRuns::settings(method, epochs),
                 {.last = last, .seed = seed});
      }
    }
  }
  const Results results = collect_results({runs.folder()});
  ASSERT_EQ(results.pairs.size(), 2u);
  for (const ResultPair& pair : results.pairs) {
    ASSERT_EQ(pair.rows.size(), 2u);
    EXPECT_EQ(verdict_text(against_kd(pair, pair.rows[1])), "better");
  }
  expect_contains(results.pairs[0].name + results.pairs[1].name, "4 epochs");
  expect_contains(joined(apart_sentences(results)), "not comparable: 4 epochs against 1");
}

// What the results say, without names and order.
std::map<std::string, std::string> verdicts(const Results& results) {
  std::map<std::string, std::string> all;
  for (const ResultPair& pair : results.pairs) {
    for (const ResultRow& row : pair.rows) {
      const Comparison d = against_kd(pair, row);
      const std::string key = text(pair.data_hash, " ", pair.teacher_hash, " ",
                                   row.settings ? settings_toml([&] {
                                     RunSettings s = *row.settings;
                                     s.seed = 0;
                                     return s;
                                   }())
                                                : row.label);
      all[key] = text(row.finished(), " ", verdict_text(d), " ", difference_text(d.last), " ",
                      difference_text(d.best));
      // None comes from one seed.
      EXPECT_TRUE(d.last.n >= 2 || verdict_of(d.last) == Verdict::unknown);
    }
  }
  return all;
}

// However the folders of random runs are shuffled, copied or split, the verdicts stay.
TEST(Results, NoArrangementOfFoldersChangesAVerdict) {
  std::mt19937 random(7);
  const auto draw = [&](size_t count) { return size_t(random() % count); };
  for (int round = 0; round < 60; ++round) {
    std::vector<FoundRun> runs;
    const size_t count = 2 + draw(14);
    for (size_t i = 0; i < count; ++i) {
      const char* names[] = {"ce", "kd", "pcd", "dkd"};
      const size_t method = draw(4), epochs = draw(4) ? 2 : 3;
      FoundRun found;
      found.settings = FakeRuns::settings(names[method], int(epochs));
      if (draw(8) == 0) found.settings.data.limit = 100;
      if (draw(8) == 0 && method == 2) set_key(found.settings, "method.ranking", "none");
      found.settings.seed = 1 + draw(3);
      found.data_hash = draw(6) ? "d1" : "d2";
      found.teacher_hash = method == 0 ? "" : draw(6) ? "t1" : "t2";
      found.run.seed = found.settings.seed;
      found.run.folder = text("run-", i);
      found.run.status = draw(8) ? "finished" : "running";
      found.run.summary.status = found.run.status;
      found.run.summary.epochs_done = 2;
      // Sometimes the same bits under another seed or twice.
      found.run.summary.weights_hash = text(names[method], draw(5) ? text(i) : "copied");
      const double last = 30 + 10 * double(method) + double(draw(100)) / 10;
      found.run.summary.last = found.run.summary.best =
          EpochResult{2, valued(classification_metrics(), {last, 90, 1})};
      runs.push_back(found);
    }
    const auto expected = verdicts({.title = {}, .pairs = group_runs(runs), .notes = {}});
    for (int times = 0; times < 4; ++times) {
      std::vector<FoundRun> other = runs;
      const size_t copies = draw(4);
      for (size_t i = 0; i < copies; ++i) {
        other.push_back(runs[draw(runs.size())]);
        other.back().run.folder = text("another/place-", i);
      }
      // As if they came from several studies.
      for (FoundRun& run : other) {
        run.order = draw(2) ? size_t(-1) : draw(5);
        if (draw(3) == 0) run.run.folder = "split" / run.run.folder;
        if (draw(3) == 0) run.label = text("label ", draw(3));
      }
      std::shuffle(other.begin(), other.end(), random);
      EXPECT_EQ(verdicts({.title = {}, .pairs = group_runs(other), .notes = {}}), expected)
          << "round " << round;
    }
  }
}

TEST(Results, OneFolderTwoFoldersAndCopiesOfThem) {
  FakeRuns runs;
  for (const uint64_t seed : {1, 2, 3}) {
    const std::string half = seed < 3 ? "a/" : "b/";
    runs.add(text(half, "x", seed), FakeRuns::settings("kd"), {.last = 50 + double(seed), .seed = seed});
    runs.add(text(half, "y", seed), FakeRuns::settings("pcd"),
             {.last = 58 + double(seed * seed), .seed = seed});
  }
  const auto whole = verdicts(collect_results({runs.folder()}));
  EXPECT_EQ(verdicts(collect_results({runs.folder() / "a", runs.folder() / "b"})), whole);
  EXPECT_EQ(verdicts(collect_results({runs.folder() / "b", runs.folder() / "a", runs.folder()})), whole);
  std::filesystem::copy(runs.folder(), runs.work() / "copy", std::filesystem::copy_options::recursive);
  EXPECT_EQ(verdicts(collect_results({runs.work().path()})), whole);
  EXPECT_EQ(verdict_on(collect_results({runs.folder()}), "pcd"), "better");
  testing::expect_fault(Fault::input, "no such folder", [&] { collect_results({runs.folder(), "nowhere"}); });
}

// A copy of a study's folder is no second repetition; what it plans and has not run stays missing.
TEST(Results, AStudysOwnNamesAndWhatItHasNotRun) {
  FakeRuns runs;
  runs.add("kd/seed-1", FakeRuns::settings("kd"), {.last = 50});
  runs.work().write("s/results.json", R"({"title": "mine", "data": "cifar100:/nowhere", "pairs": [
    {"name": "big-small", "student": "resnet8", "teacher": {"model": "resnet20"}, "rows": [
      {"label": "plain", "method": "kd", "runs": [{"seed": 1, "folder": "kd/seed-1", "status": "finished"},
                                                 {"seed": 2, "folder": "kd/seed-2", "status": "missing"}]},
      {"label": "ours", "method": "pcd", "runs": [{"seed": 1, "folder": "pcd/seed-1", "status": "failed",
                                                  "problem": "disk full"}]}]}]})");
  const Results results = collect_results({runs.folder()});
  EXPECT_EQ(results.title, "mine");
  ASSERT_EQ(results.pairs.size(), 1u);
  EXPECT_EQ(results.pairs[0].name, "big-small");
  ASSERT_EQ(results.pairs[0].rows.size(), 2u);
  EXPECT_EQ(results.pairs[0].rows[0].label, "plain");
  EXPECT_EQ(results.pairs[0].rows[0].runs[1].status, "missing");
  EXPECT_EQ(results.pairs[0].rows[1].label, "ours");
  EXPECT_EQ(results.pairs[0].rows[1].runs[0].problem, "disk full");
}

// Of an error the smaller is better, and the report says what it is.
TEST(Results, AMetricThatIsBetterLow) {
  const Metrics metrics = {
      {.name = "X", .column = "X", .word = "X", .title = "X", .unit = "", .higher_is_better = false}};
  const auto row_of = [&](const std::string& method, double x) {
    ResultRow row{.label = method, .method = method, .settings = FakeRuns::settings(method)};
    for (const uint64_t seed : {1, 2, 3}) {
      ResultRun run{.seed = seed, .status = "finished"};
      run.summary.status = "finished";
      run.summary.metrics = metrics;
      run.summary.best = run.summary.last =
          EpochResult{2, valued(metrics, {x + 0.001 * double(seed * seed)})};
      row.runs.push_back(run);
      x -= 0.01;
    }
    return row;
  };
  ResultPair pair{.name = "p", .teacher = "t", .student = "s", .data = "d", .data_hash = "h"};
  pair.rows = {row_of("kd", 0.5), row_of("pcd", 0.25), row_of("dkd", 0.75)};
  pair.rows[1].runs[0].summary.last->values[0].value += 0.002;
  pair.rows[2].runs[0].summary.last->values[0].value += 0.002;
  EXPECT_EQ(pair.metric().name, "X");
  EXPECT_EQ(verdict_text(against_kd(pair, pair.rows[1])), "better");
  EXPECT_EQ(verdict_text(against_kd(pair, pair.rows[2])), "worse");
  expect_contains(difference_text(against_kd(pair, pair.rows[1]).last), "−0.2493 (");
  EXPECT_EQ(mean_cell(pair.rows[0], &Summary::last, "-").substr(0, 6), "0.4947");
}

// COCO's -1 is no precision: no mean, no deviation, no difference.
TEST(Results, WhatWasNotMeasuredIsInNoStatistics) {
  const auto row_of = [](const std::string& method, const std::vector<double>& values) {
    ResultRow row{.label = method, .method = method, .settings = FakeRuns::settings(method)};
    for (const double value : values) {
      ResultRun run{.seed = row.runs.size() + 1, .status = "finished"};
      run.summary.status = "finished";
      run.summary.metrics = detection_metrics();
      run.summary.last = EpochResult{2, valued(detection_metrics(), {value, value, value})};
      if (value >= 0) run.summary.best = run.summary.last;
      row.runs.push_back(run);
    }
    return row;
  };
  ResultPair pair{.name = "p", .teacher = "t", .student = "s", .data = "d", .data_hash = "h"};
  pair.rows = {row_of("kd", {-1, 30, 31}), row_of("pcd", {-1, -1, 32})};
  EXPECT_EQ(pair.rows[0].values(&Summary::last), (std::vector<double>{30, 31}));
  EXPECT_EQ(against_kd(pair, pair.rows[1]).last.n, 1u);
  EXPECT_EQ(against_kd(pair, pair.rows[1]).last.mean, 1);
  const auto sentences = [&] { return joined(apart_sentences({.title = "", .pairs = {pair}, .notes = {}})); };
  EXPECT_EQ(sentences(), "");
  pair.rows = {row_of("kd", {-1, -1}), row_of("pcd", {-1, -1})};
  EXPECT_EQ(mean_cell(pair.rows[1], &Summary::last, "-"), "-");
  EXPECT_EQ(against_kd(pair, pair.rows[1]).last.n, 0u);
  expect_contains(sentences(), "p: AP, as COCO scores it, was not measured: the test images hold no box");
  EXPECT_EQ(seeds_text(pair.rows[1]).find("1.00"), std::string::npos) << seeds_text(pair.rows[1]);
}

TEST(Results, SeedsShowACopyAndADivergedRunAsWhatTheyAre) {
  ResultRow row;
  for (const uint64_t seed : {1, 2, 3}) {
    ResultRun run{.seed = seed, .status = seed == 3 ? "diverged" : "finished"};
    run.summary.weights_hash = seed == 3 ? "" : "same";
    if (seed != 3)
      run.summary.best = run.summary.last = EpochResult{1, valued(classification_metrics(), {40, 80, 1})};
    row.runs.push_back(run);
  }
  settle(row);
  const std::string shown = seeds_text(row);
  expect_contains(shown, "diverged");
  expect_contains(shown, "seed 2 does not count: the weights of seed 1");
  EXPECT_EQ(shown.find("±"), std::string::npos) << shown;
  EXPECT_EQ(shown.find(" 0.00"), std::string::npos) << shown;
}

}  // namespace
}  // namespace retort
