// RETORT_TEST_DEVICE=cuda: the tests are there to be run on that device. If it is absent they fail at once, and one that
// is skipped has failed: a run without the device, or without a library that it needs, is not green.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "engine/device.h"

namespace retort::testing {
namespace {

class RequiredDevice : public ::testing::EmptyTestEventListener {
  void OnTestProgramStart(const ::testing::UnitTest&) override {
    const char* required = std::getenv("RETORT_TEST_DEVICE");
    if (!required) return;
    const std::vector<std::string> there = available_devices();
    if (std::find(there.begin(), there.end(), required) != there.end()) return;
    std::string why;
    try {
      Device::open({.name = required});
    } catch (const std::exception& error) {
      why = error.what();
    }
    std::cerr << "RETORT_TEST_DEVICE=" << required << ", but the device cannot be used: " << why << std::endl;
    std::exit(7);
  }
  void OnTestEnd(const ::testing::TestInfo& test) override {
    if (std::getenv("RETORT_TEST_DEVICE") && test.result()->Skipped())
      ADD_FAILURE() << test.name() << " was skipped, with RETORT_TEST_DEVICE set";
  }
};

const bool listening = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new RequiredDevice);
  return true;
}();

}  // namespace
}  // namespace retort::testing
