// A profile sees every kernel of a step, knows what it works on, and changes no bit of it.
#include "engine/profile/profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "distill/run/profile_report.h"
#include "engine/device.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using namespace testing;

TEST(Profile, CountsWhatAConvolutionNeeds) {
  Profile profile;
  const auto device = Device::open({.name = "portable", .threads = 1, .profile = &profile});
  const Array x = device->persistent({2, 8, 8, 3}, DType::f32, 1),
              w = device->persistent({5, 3, 3, 3}, DType::f32, 1);
  const Array y = device->persistent({2, 8, 8, 5}, DType::f32);
  EXPECT_TRUE(profile.calls().empty()) << "nothing is noted before begin()";
  profile.begin();
  device->backend().conv2d(x, w, {1, 1, 1}, {}, y);
  device->backend().conv2d_weight_gradient(x, y, {1, 1, 1}, Sink(w.tensor, Write::accumulate));
  profile.end();
  device->backend().conv2d(x, w, {1, 1, 1}, {}, y);
  ASSERT_EQ(profile.calls().size(), 2u);
  const ProfiledCall &forward = profile.calls()[0], &gradient = profile.calls()[1];
  EXPECT_STREQ(forward.op, "conv2d");
  EXPECT_EQ(forward.flops, 2.0 * 2 * 8 * 8 * 5 * 27);
  EXPECT_EQ(gradient.flops, forward.flops);
  EXPECT_EQ(forward.bytes, 4.0 * (2 * 64 * 3 + 5 * 27 + 2 * 64 * 5));
  EXPECT_EQ(gradient.bytes, forward.bytes + 4.0 * 5 * 27) << "a sum that is added to is read too";
  EXPECT_LE(forward.start + forward.seconds, gradient.start);
  EXPECT_GE(profile.seconds(), forward.seconds + gradient.seconds);

  const Peak peak{1, 1e9, 1e9};
  EXPECT_EQ(peak.floor(2e9, 1e9), 2);
  EXPECT_EQ(peak.floor(2e9, 5e9), 5);
  EXPECT_EQ(Peak{}.floor(1, 1), 0);
  const std::string table = profile_text(profile, 1, peak);
  for (const char* part :
       {"conv2d ", "conv2d_weight_gradient ", "between kernels", "2x8x8x3 * 5x3x3x3 -> 2x8x8x5"})
    expect_contains(table, part);
  const json trace = json::parse(profile_trace(profile));
  ASSERT_EQ(trace["traceEvents"].size(), 2u);
  EXPECT_EQ(trace["traceEvents"][0]["name"], "conv2d");
  EXPECT_EQ(trace["traceEvents"][0]["args"]["flops"], forward.flops);
}

// 1 GFLOP of convolutions in half a second, 3 GB of the rest in two; a loss has time, but bytes that nobody
// counts.
TEST(Profile, HoldsConvolutionsAgainstTheCoresAndTheRestAgainstTheMemory) {
  Profile profile;
  const auto add = [&](const char* op, double seconds, double flops, double bytes) {
    ProfiledCall call{{op, {}, {}, {}, flops, bytes}, 0, seconds};
    profile.add(call);
  };
  add("conv2d", 0.25, 7e8, 1e6);
  add("conv2d_weight_gradient", 0.25, 3e8, 1e6);
  add("batch_norm_train", 1.5, 0, 2e9);
  add("matmul", 0.5, 1e6, 1e9);
  add("cross_entropy", 1, 0, 0);
  const PeakShares shares = shares_of(profile);
  EXPECT_DOUBLE_EQ(shares.conv_seconds, 0.5);
  EXPECT_DOUBLE_EQ(shares.conv_flops, 1e9);
  EXPECT_DOUBLE_EQ(shares.rest_seconds, 2);
  EXPECT_DOUBLE_EQ(shares.rest_bytes, 3e9);
  EXPECT_EQ(shares_text(shares, 2, {1, 4e9, 2e9}),
            "convolutions: 250.00 ms a step, 2.0 GFLOP/s, 50 % of the measured FMA peak\n"
            "the rest: 1000.00 ms a step, 1.5 GB/s, 75 % of the measured memory bandwidth\n");
  const std::string beyond = shares_text(shares, 2, {1, 1e9, 1e9});
  expect_contains(beyond, "200 % of the measured FMA peak (FLOPs are those of direct convolution; Winograd");
  expect_contains(beyond, "150 % of the measured memory bandwidth (caches");
  EXPECT_EQ(shares_text(shares, 2, {}),
            "convolutions: 250.00 ms a step, 2.0 GFLOP/s\nthe rest: 1000.00 ms a step, 1.5 GB/s\n");
  EXPECT_EQ(shares_text({}, 1, {1, 1, 1}), "convolutions: 0.00 ms a step\nthe rest: 0.00 ms a step\n");
}

TEST(Profile, MeasuresSomePeak) {
  const Peak peak = measure_peak(2);
  EXPECT_EQ(peak.threads, 2);
  EXPECT_GT(peak.flops, 1e8);
  EXPECT_GT(peak.bytes, 1e7);
}

TEST(Profile, TrainingIsProfiledAndEndsAtTheSameWeights) {
  TempFolder work;
  const auto training = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> all = {"train",    "--model", "resnet8", "--data", "synthetic:train=240,test=16",
                                    "--epochs", "1",       "--batch", "8",      "--out",
                                    out,        "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome outcome = run(all, work);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  };
  const Outcome plain = training("a", {}), profiled = training("b", {"--profile"});
  EXPECT_EQ(json::parse(plain.out)["weights_hash"], json::parse(profiled.out)["weights_hash"]);
  for (const char* part : {"profile of 20 steps", "batch_norm_gradient", "% of floor", "b/profile.json",
                           "% of the measured FMA peak", "% of the measured memory bandwidth"})
    expect_contains(profiled.err, part);
  const json trace = json::parse(content_of(work / "b/profile.json"));
  int steps = 0;
  for (const json& event : trace["traceEvents"]) steps += event["name"] == "cross_entropy";
  EXPECT_EQ(steps, 20);
  training("b", {"--force"});
  EXPECT_FALSE(std::filesystem::exists(work / "b/profile.json")) << "of the run that was replaced";
}

TEST(Profile, InfoTellsThePeak) {
  TempFolder work;
  const Outcome outcome = run({"info", "--peak", "--json"}, work);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["peaks"][0]["threads"], 1);
  EXPECT_GT(json::parse(outcome.out)["peaks"][1]["flops"], 1e8);
}

}  // namespace
}  // namespace retort
