#include "engine/profile/forwarding_backend.h"

#include <gtest/gtest.h>

#include "engine/cpu/portable.h"
#include "engine/device.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

// Answers nothing itself.
class Listener : public ForwardingBackend {
 public:
  Listener(std::unique_ptr<Backend> inner, std::vector<std::string>& heard)
      : ForwardingBackend(std::move(inner)), heard_(heard) {}

 private:
  bool begins(const KernelCall& call) override {
    heard_.push_back(call.op);
    return true;
  }
  void ends(const KernelCall& call) override { heard_.push_back(text("end of ", call.op)); }

  std::vector<std::string>& heard_;
};

// Those that backends may compose of others come through as themselves.
TEST(ForwardingBackend, WhatAWrapperLeavesOutIsPassedOnAndHeard) {
  std::vector<std::string> heard;
  Device device(std::make_unique<Listener>(std::make_unique<Portable>(1), heard));
  Backend& backend = device.backend();
  const Array x = device.persistent({2, 3}, DType::f32, 1), dy = device.persistent({2, 4}, DType::f32, 1);
  const Array dw = device.persistent({4, 3}, DType::f32), db = device.persistent({4}, DType::f32),
              totals = device.persistent({2}, DType::f64, 1);
  heard.clear();
  backend.linear_weight_gradient(x, dy, dw, db);
  const double factors[] = {1, 10};
  backend.add_rows_to_totals(x, factors, totals);
  EXPECT_EQ(heard, (std::vector<std::string>{"linear_weight_gradient", "end of linear_weight_gradient",
                                             "add_rows_to_totals", "end of add_rows_to_totals"}));
  float sum = 0;
  backend.download(&sum, db.tensor.part(0, {1}));
  EXPECT_EQ(sum, 2);
  double total[2] = {};
  backend.download(total, totals);
  EXPECT_EQ(total[0], 1 + 3);
  EXPECT_EQ(total[1], 1 + 30);
  EXPECT_EQ(backend.name(), "portable");
  EXPECT_FALSE(backend.can_capture());
  testing::expect_fault(Fault::internal, "cannot capture", [&] { backend.begin_capture(); });
}

// Without a backend behind it, what a wrapper leaves out is refused, not left undone.
TEST(ForwardingBackend, WhatComputesNothingRefusesWhatItLeavesOut) {
  std::vector<std::string> heard;
  Listener alone(nullptr, heard);
  testing::expect_fault(Fault::internal, "asked for what it does not answer",
                        [&] { alone.copy(Tensor(), Sink()); });
  EXPECT_EQ(heard, std::vector<std::string>{"copy"});
  testing::expect_fault(Fault::internal, "asked for what it does not answer", [&] { alone.begin_branch(); });
}

}  // namespace
}  // namespace retort
