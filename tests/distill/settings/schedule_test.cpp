// The learning rate of every step, against PyTorch's schedulers (tests/data/training_options.py).
#include "distill/settings/schedule.h"

#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

TEST(Schedule, GivesPyTorchsRates) {
  const json cases = reference_file("training_options.json")["schedules"];
  ASSERT_GE(cases.size(), 4u);
  for (const json& c : cases) {
    SCOPED_TRACE(c.dump().substr(0, 120));
    const Schedule schedule{.base = c["base"],
                            .milestones = c["milestones"].get<std::vector<int>>(),
                            .factor = c["factor"],
                            .kind = c["kind"] == "cosine" ? Schedule::cosine : Schedule::multistep,
                            .warmup_steps = c["warmup_steps"],
                            .steps_per_epoch = c["steps_per_epoch"],
                            .epochs = c["epochs"]};
    size_t i = 0;
    for (int epoch = 1; epoch <= schedule.epochs; ++epoch)
      for (int64_t step = 0; step < schedule.steps_per_epoch; ++step, ++i)
        EXPECT_NEAR(schedule.at(epoch, step), c["rates"][i].get<double>(), 1e-12) << epoch << ' ' << step;
    EXPECT_EQ(i, c["rates"].size());
  }
}

TEST(Schedule, FallsAfterEachMilestone) {
  const Schedule schedule{.base = 0.05, .milestones = {150, 180, 210}, .factor = 0.1};
  EXPECT_EQ(schedule.at(1, 0), 0.05);
  EXPECT_EQ(schedule.at(150, 0), 0.05);
  EXPECT_EQ(schedule.at(151, 0), 0.05 * 0.1);
  EXPECT_EQ(schedule.at(181, 0), 0.05 * 0.1 * 0.1);
  EXPECT_EQ(schedule.at(240, 0), 0.05 * 0.1 * 0.1 * 0.1);
}

// LDRLD's release (arXiv:2507.15911): e / 20 of lr in epoch e < 20; what it set in epoch 19 stays, by a slip,
// up to the first milestone.
TEST(Schedule, RampsAndTheSlipOfLdrld) {
  Schedule schedule{.base = 0.05, .milestones = {150, 180, 210}, .factor = 0.1, .ramp = 20};
  EXPECT_EQ(schedule.at(1, 0), 0.05 * (1. / 20));
  EXPECT_EQ(schedule.at(1, 781), 0.05 * (1. / 20)) << "by epochs, not by steps";
  EXPECT_EQ(schedule.at(19, 0), 0.05 * (19. / 20));
  EXPECT_EQ(schedule.at(20, 0), 0.05);
  EXPECT_EQ(schedule.at(151, 0), 0.05 * 0.1);
  schedule.ramp_slip = true;
  EXPECT_EQ(schedule.at(7, 0), 0.05 * (7. / 20));
  for (const int epoch : {19, 20, 150}) EXPECT_EQ(schedule.at(epoch, 0), 0.05 * (19. / 20)) << epoch;
  EXPECT_EQ(schedule.at(151, 0), 0.05 * 0.1);
  Schedule by_steps = schedule;
  by_steps.milestones = {5000, 6000}, by_steps.milestones_are_steps = true, by_steps.steps_per_epoch = 100;
  EXPECT_EQ(by_steps.at(50, 99), 0.05 * (19. / 20));
  EXPECT_EQ(by_steps.at(51, 0), 0.05 * 0.1) << "their milestones are no epochs";
  for (const int64_t none : {0, 1}) {
    schedule.ramp = none;
    EXPECT_EQ(schedule.at(1, 0), 0.05) << none;
  }
}

TEST(Schedule, AWarmUpThatLeavesNoStepAtTheFullRateIsTold) {
  Schedule schedule{.milestones = {3}, .warmup_steps = 29, .steps_per_epoch = 10, .epochs = 5};
  EXPECT_EQ(long_warmup_note(schedule), "");
  schedule.warmup_steps = 30;
  EXPECT_NE(long_warmup_note(schedule).find("30 steps (schedule.warmup_steps), and is lowered after 30"),
            std::string::npos);
  schedule.kind = Schedule::cosine;
  EXPECT_EQ(long_warmup_note(schedule), "");
  schedule.warmup_steps = 200;
  EXPECT_NE(long_warmup_note(schedule).find("the run has 50"), std::string::npos);
  schedule.kind = Schedule::multistep, schedule.milestones = {40}, schedule.milestones_are_steps = true;
  EXPECT_NE(long_warmup_note(schedule).find("lowered after 40"), std::string::npos);
}

// detectron2's, which falls in the middle of what the run calls an epoch.
TEST(Schedule, FallsAfterSteps) {
  const Schedule schedule{.base = 0.01,
                          .milestones = {120000, 160000},
                          .milestones_are_steps = true,
                          .factor = 0.1,
                          .warmup_steps = 1000,
                          .steps_per_epoch = 50000,
                          .epochs = 4};
  EXPECT_NEAR(schedule.at(1, 0), 0.01 / 1000, 1e-15);
  EXPECT_EQ(schedule.at(1, 1000), 0.01);
  EXPECT_EQ(schedule.at(3, 19999), 0.01);
  EXPECT_EQ(schedule.at(3, 20000), 0.01 * 0.1);
  EXPECT_EQ(schedule.at(4, 9999), 0.01 * 0.1);
  EXPECT_EQ(schedule.at(4, 10000), 0.01 * 0.1 * 0.1);
}

}  // namespace
}  // namespace retort::testing
