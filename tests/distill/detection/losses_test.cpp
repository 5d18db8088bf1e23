// The four losses and their gradients against what PyTorch computes, see tests/data/detection.py.
#include "distill/detection/losses.h"

#include <map>

#include "tests/support/fill_by_rule.h"
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

// A whole step of a network: pyramid, heads and the four losses, and what reaches every weight.
TEST_P(DetectionLosses, ReachEveryWeightAsInPyTorch) {
  const auto device = Device::open({.name = GetParam().device});
  const DType type = GetParam().type;
  const bool exact = type == DType::f64;
  const json file = reference_file("detection.json")["step"];
  const auto detector = make_detector("rcnn_tiny", *device, {.classes = 3, .type = type});
  fill_by_rule(*detector, *device);
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  const Shape shape = shape_of(file["shape"]);
  const Var images = pass.make(shape, type);
  write_values(*device, images, closed_values("detection.step.images", shape.size()));
  const std::vector<Var> pyramid = detector->pyramid(images, pass);
  const Proposed proposed = detector->propose(pyramid, pass);
  std::vector<AnchorTargets> anchors;
  for (const json& own : file["anchors"]) {
    const auto objects = own["objects"].get<std::vector<float>>();
    anchors.push_back({own["anchors"].get<std::vector<int32_t>>(), std::vector<float>(objects.size(), 1.0f),
                       objects, deltas_of(own["deltas"])});
  }
  RoiBatch rois;
  for (const json& b : file["boxes"]) rois.rois.boxes.push_back({b[0], b[1], b[2], b[3]});
  rois.rois.images = file["image"].get<std::vector<int32_t>>();
  rois.classes = file["labels"].get<std::vector<int32_t>>();
  rois.deltas = deltas_of(file["deltas"]);
  for (size_t r = 0; r < rois.classes.size(); ++r)
    EXPECT_EQ(level_of(detector->spec(), rois.rois.boxes[r]), file["levels"][r].get<int>()) << "box " << r;
  const Judged judged = detector->judge(pyramid, rois.rois, pass);
  std::vector<LossTerm> terms = proposal_losses(detector->spec(), proposed, anchors, pass);
  const Var labels = upload_integers(pass, {rois.size()}, rois.classes);
  for (LossTerm& term : box_losses(judged, rois, labels, pass)) terms.push_back(std::move(term));
  for (const LossTerm& term : terms) {
    const double expected = file["terms"][term.name];
    EXPECT_NEAR(read_values(*device, term.value).at(0), expected, (exact ? 1e-11 : 1e-4) * expected)
        << term.name;
  }
  tape.backward(total(terms, pass));
  // f32 through some 20 layers with norms of few places.
  const double tolerance = exact ? 1e-9 : 5e-3;
  size_t compared = 0;
  for (const NamedParameter& p : parameters_of(*detector)) {
    ASSERT_TRUE(file["gradients"].contains(p.name)) << p.name;
    const HostTensor gradient = to_file(*device, p.name, p.parameter->grad);  // in PyTorch's order
    std::vector<double> values;
    if (exact)
      for (const double v : gradient.values<double>()) values.push_back(v);
    else
      for (const float v : gradient.values<float>()) values.push_back(double(v));
    expect_reference(file["gradients"][p.name], values, tolerance, "gradient of " + p.name);
    ++compared;
  }
  EXPECT_EQ(compared, file["gradients"].size());
}

INSTANTIATE_TEST_SUITE_P(Devices, DetectionLosses, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

}  // namespace
}  // namespace retort::testing
