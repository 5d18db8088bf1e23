// The four losses and their gradients against what PyTorch computes, see tests/data/detection.py.
#include "distill/detection/losses.h"

#include <map>

#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

std::vector<BoxDeltas> deltas_of(const json& numbers) {
  std::vector<BoxDeltas> all(numbers.size() / 4);
  for (size_t i = 0; i < numbers.size(); ++i) all[i / 4][i % 4] = numbers[i].get<float>();
  return all;
}

class DetectionLosses : public ::testing::TestWithParam<Arithmetic> {};

TEST_P(DetectionLosses, AsPyTorch) {
  const auto device = Device::open({.name = GetParam().device});
  const DType type = GetParam().type;
  const double tolerance = GetParam().tolerance();
  const json file = reference_file("detection.json")["losses"];
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  std::map<std::string, Var> leaves;
  std::vector<Var> kept;
  for (const auto& [name, extents] : file["inputs"].items()) {
    const Shape shape = shape_of(extents);
    kept.push_back(pass.make(shape, type));
    write_values(*device, kept.back(), closed_values("detection.losses." + name, shape.size(), 2.0));
    leaves[name] = tape.leaf(kept.back());
  }
  std::vector<AnchorTargets> anchors;
  for (const json& own : file["anchors"])
    anchors.push_back({own["anchors"].get<std::vector<int32_t>>(), own["weights"].get<std::vector<float>>(),
                       own["objects"].get<std::vector<float>>(), deltas_of(own["deltas"])});
  RoiBatch rois;
  rois.classes = file["labels"].get<std::vector<int32_t>>();
  rois.deltas = deltas_of(file["box_deltas"]);
  DetectorSpec spec;
  spec.rpn_samples = file["samples"];

  std::vector<LossTerm> terms =
      proposal_losses(spec, {leaves["rpn_logits"], leaves["rpn_deltas"]}, anchors, pass);
  const Var labels = upload_integers(pass, {rois.size()}, rois.classes);
  for (LossTerm& term : box_losses({leaves["logits"], leaves["deltas"]}, rois, labels, pass))
    terms.push_back(std::move(term));
  ASSERT_EQ(terms.size(), file["terms"].size());
  for (const LossTerm& term : terms) {
    const double expected = file["terms"][term.name];
    EXPECT_NEAR(read_values(*device, term.value).at(0), expected, tolerance * std::abs(expected))
        << term.name;
  }
  tape.backward(total(terms, pass));
  for (const auto& [name, stored] : file["gradients"].items())
    expect_reference(stored, read_values(*device, tape.gradient(leaves[name])), tolerance,
                     "gradient of " + name);
}

INSTANTIATE_TEST_SUITE_P(Devices, DetectionLosses, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

}  // namespace
}  // namespace retort::testing
