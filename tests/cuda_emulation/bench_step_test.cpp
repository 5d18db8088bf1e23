// The step that benchmarks time is one that a device takes, in every precision, with and without a table: its images are
// drawn as the weights that read them are kept.
#include <gtest/gtest.h>

#include "bench/step_runner.h"

namespace retort {
namespace {

TEST(BenchStep, RunsAsTheTrainersDoes) {
  for (const char* precision : {"fp32", "tf32", "bf16", "fp16"}) {
    for (const bool table : {false, true}) {
      SCOPED_TRACE(text(precision, table ? ", with a table" : ""));
      StepRunner runner({.model = "resnet8",
                         .teacher = "resnet8",
                         .method = "kd",
                         .device = "cuda",
                         .batch = 4,
                         .classes = 10,
                         .precision = precision,
                         .table = table});
      runner.run_chain(3);
      EXPECT_GT(runner.profiled_step().calls().size(), 20u);
      EXPECT_EQ(runner.table_refused(), "");
    }
  }
}

// Steps of two views, and of two gradients, keep their weights in 32 bits.
TEST(BenchStep, OfMethodsThatTrainIn32BitsOnly) {
  for (const bool dot : {false, true}) {
    SCOPED_TRACE(dot);
    StepRunner runner({.model = "resnet8",
                       .teacher = "resnet8",
                       .method = dot ? "kd" : "crld",
                       .device = "cuda",
                       .batch = 4,
                       .classes = 10,
                       .precision = "bf16",
                       .dot = dot});
    runner.run_chain(3);
    EXPECT_GT(runner.profiled_step().calls().size(), 20u);
  }
}

}  // namespace
}  // namespace retort
