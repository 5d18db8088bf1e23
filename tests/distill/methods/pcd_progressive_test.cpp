// Our variant of PCD whose stages advance over the epochs.
#include "distill/methods/pcd_progressive.h"

#include <gtest/gtest.h>

#include "distill/methods/registry.h"
#include "tests/support/closed_formula.h"

namespace retort {
namespace {

std::vector<int> partitions(int epochs, int stages) {
  std::vector<int> all;
  for (int epoch = 1; epoch <= epochs; ++epoch) all.push_back(progressive_groups(epoch, epochs, stages));
  return all;
}

TEST(PcdProgressive, GoesFromFineToCoarseAndBack) {
  EXPECT_EQ(partitions(12, 3), (std::vector<int>{3, 3, 2, 2, 1, 1, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(partitions(6, 3), (std::vector<int>{3, 2, 1, 1, 2, 3}));
  EXPECT_EQ(partitions(4, 1), (std::vector<int>{1, 1, 1, 1}));
  // Fewer epochs than stages leave some out; one more than a multiple changes no order.
  EXPECT_EQ(partitions(2, 3), (std::vector<int>{3, 1}));
  EXPECT_EQ(partitions(7, 3), (std::vector<int>{3, 3, 2, 1, 1, 2, 3}));
  EXPECT_EQ(progressive_groups(9, 0, 5), 5);
  EXPECT_EQ(progressive_groups(300, 240, 5), 5);
}

// The distillation terms' sum in one epoch of 6.
double loss_in(const std::string& method, int epoch) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  MethodContext context(DType::f64);
  context.epochs = 6;
  const auto distiller = make_distiller(method_settings(method), *device, context);
  distiller->begin_epoch(epoch);
  const Pass pass{*device};
  const Var student = pass.make({4, 12}, DType::f64), teacher = pass.make({4, 12}, DType::f64);
  write_values(*device, student, closed_values("progressive.student", 48, 4));
  write_values(*device, teacher, closed_values("progressive.teacher", 48, 4));
  return read_values(*device, total(distiller->distillation_terms({{student, teacher}}, pass), pass))[0];
}

TEST(PcdProgressive, IsPcdOnTheMeanOfATraining) {
  double sum = 0;
  for (int epoch = 1; epoch <= 6; ++epoch) sum += loss_in("pcd-progressive", epoch) / 6;
  EXPECT_NEAR(sum, loss_in("pcd", 1), 1e-12);
}

TEST(PcdProgressive, AnEpochHasOnePartition) {
  EXPECT_NE(loss_in("pcd-progressive", 1), loss_in("pcd-progressive", 2));
  EXPECT_EQ(loss_in("pcd-progressive", 1), loss_in("pcd-progressive", 6));
}

}  // namespace
}  // namespace retort
