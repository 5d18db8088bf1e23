// A fused loss is the sum of the method's terms: value, gradient and what metrics count.
#include "distill/methods/fused_loss.h"

#include <gtest/gtest.h>

#include "distill/evaluate/metric_totals.h"
#include "distill/methods/registry.h"
#include "layers/module.h"

namespace retort {
namespace {

constexpr int64_t samples = 12, classes = 20;

Array logits_of(Device& device, int salt) {
  const Array array = device.persistent({samples, classes}, DType::f32);
  std::vector<double> values;
  for (int64_t i = 0; i < samples * classes; ++i)
    values.push_back(double((i * 37 + salt * 11) % 101) / 12 - 4);
  write_values(device, array, values);
  return array;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << what << " at " << i;
}

class FusedLossOf : public ::testing::TestWithParam<const char*> {};

TEST_P(FusedLossOf, IsItsTerms) {
  for (const int epoch : {1, 1000}) {
    for (const bool scaled : {false, true}) {
      SCOPED_TRACE(text("epoch ", epoch, scaled ? ", scaled" : ""));
      const auto device = Device::open({.name = "portable", .threads = 1});
      const auto distiller = make_distiller(method_settings(GetParam()), *device);
      distiller->begin_epoch(epoch);
      const Array student = logits_of(*device, 1), teacher = logits_of(*device, 2),
                  labels = device->persistent({samples}, DType::i32);
      std::vector<int32_t> host(samples);
      for (int64_t i = 0; i < samples; ++i) host[size_t(i)] = int32_t(i * 7 % classes);
      device->backend().upload(labels, host.data());
      const Scalar scale = device->scalar(1024);
      const Scalar* seed = scaled ? &scale : nullptr;

      MetricTotals composed(*device), fused_totals(*device);
      Tape tape(*device);
      const Pass pass{*device, &tape, true};
      const Var leaf = tape.leaf(student);
      const DistillInputs inputs{{leaf, Var(teacher)}, Var(labels)};
      const std::vector<LossTerm> terms = distiller->terms(inputs, pass);
      const Var loss = total(terms, pass);
      composed.add(loss, terms, Var(student), labels, pass);
      tape.backward(loss, seed);

      const std::optional<FusedLoss> fused = distiller->fused(inputs, pass, seed);
      ASSERT_TRUE(fused);
      fused_totals.add(*fused, pass);
      ASSERT_EQ(fused->names.size(), terms.size());
      for (size_t i = 0; i < terms.size(); ++i) EXPECT_EQ(fused->names[i], terms[i].name);
      expect_near(read_values(*device, fused->gradient), read_values(*device, tape.gradient(leaf)), 1e-6,
                  "gradient");
      const MetricTotals::Values a = composed.read(), b = fused_totals.read();
      EXPECT_EQ(b.top1, a.top1);
      EXPECT_EQ(b.top5, a.top5);
      EXPECT_NEAR(b.loss, a.loss, 1e-5 * std::abs(a.loss));
      expect_near(b.terms, a.terms, 1e-5, "terms");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, FusedLossOf, ::testing::Values("ce", "kd", "pcd", "dkd", "rld"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(FusedLoss, IsRefusedWhereTheTermsAreNotRows) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const Array student = logits_of(*device, 1), teacher = logits_of(*device, 2),
              labels = device->persistent({samples}, DType::i32);
  const Pass pass{*device};
  const DistillInputs inputs{{Var(student), Var(teacher)}, Var(labels)};
  EXPECT_FALSE(make_distiller(method_settings("dist"), *device)->fused(inputs, pass, nullptr));
  MethodSettings standardized = method_settings("kd");
  standardized.set("standardize", "true");
  EXPECT_FALSE(make_distiller(standardized, *device)->fused(inputs, pass, nullptr));
}

}  // namespace
}  // namespace retort
