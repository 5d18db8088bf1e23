// Boxes against what torchvision computes, see tests/data/detection.py.
#include "models/detection/boxes.h"

#include <bit>
#include <limits>
#include <numeric>

#include "engine/ops/region_ops.h"
#include "layers/module.h"
#include "models/detection/anchors.h"
#include "models/detection/targets.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

std::vector<BoundingBox> boxes_of(const json& numbers) {
  std::vector<BoundingBox> boxes;
  for (size_t i = 0; i < numbers.size(); i += 4)
    boxes.push_back({numbers[i].get<float>(), numbers[i + 1].get<float>(), numbers[i + 2].get<float>(),
                     numbers[i + 3].get<float>()});
  return boxes;
}

TEST(Boxes, OverlapAsTorchvision) {
  const json file = reference_file("detection.json")["iou"];
  const std::vector<BoundingBox> a = boxes_of(file["a"]), b = boxes_of(file["b"]);
  size_t i = 0;
  for (const BoundingBox& left : a)
    for (const BoundingBox& right : b) EXPECT_FLOAT_EQ(iou(left, right), file["iou"][i++].get<float>());
  EXPECT_EQ(iou({1, 1, 1, 5}, {1, 1, 1, 5}), 0) << "without area";
}

TEST(Boxes, CoderAsTorchvision) {
  for (const json& stored : reference_file("detection.json")["coder"]) {
    const BoxCoder coder{stored["weights"][0], stored["weights"][2]};
    const std::vector<BoundingBox> boxes = boxes_of(stored["boxes"]), anchors = boxes_of(stored["anchors"]),
                                   decoded = boxes_of(stored["decoded"]);
    for (size_t i = 0; i < boxes.size(); ++i) {
      const BoxDeltas found = coder.encode(boxes[i], anchors[i]);
      BoxDeltas deltas{};
      for (size_t k = 0; k < 4; ++k) {
        const auto expected = stored["encoded"][4 * i + k].get<float>();
        EXPECT_NEAR(found[k], expected, 2e-6f * std::max(1.0f, std::abs(expected)));
        deltas[k] = stored["deltas"][4 * i + k].get<float>();
      }
      const BoundingBox box = coder.decode(deltas, anchors[i]);
      const float size = std::max({1.0f, decoded[i].width(), decoded[i].height(), std::abs(decoded[i].x1)});
      EXPECT_NEAR(box.x1, decoded[i].x1, 1e-5f * size);
      EXPECT_NEAR(box.y1, decoded[i].y1, 1e-5f * size);
      EXPECT_NEAR(box.x2, decoded[i].x2, 1e-5f * size);
      EXPECT_NEAR(box.y2, decoded[i].y2, 1e-5f * size);
    }
  }
}

// Compared several at once: as one by one, to the bit.
TEST(Boxes, SuppressionIsByTheIou) {
  RandomWords random(1, box_purpose::roi_sample, 0, 0);
  const auto drawn = [&](uint32_t most) { return float(random_below(random.next(), 8 * most)) / 8; };
  std::vector<BoundingBox> boxes;
  std::vector<float> scores;
  for (int i = 0; i < 400; ++i) {
    const float x = drawn(60), y = drawn(60);
    boxes.push_back({x, y, x + drawn(20), y + drawn(20)});  // some without area
    scores.push_back(drawn(10));
  }
  for (const float threshold : {0.0f, 0.25f, 0.5f, 0.7f}) {
    std::vector<int32_t> expected;
    for (const int32_t i : highest(scores, 400)) {
      bool covered = false;
      for (const int32_t better : expected)
        covered = covered || iou(boxes[size_t(better)], boxes[size_t(i)]) > threshold;
      if (!covered) expected.push_back(i);
    }
    EXPECT_EQ(suppress(boxes, scores, threshold), expected) << threshold;
    expected.resize(40);
    EXPECT_EQ(suppress(boxes, scores, threshold, 40), expected);
  }
}

TEST(Boxes, SuppressionAsTorchvision) {
  const json file = reference_file("detection.json")["nms"];
  const auto scores = file["scores"].get<std::vector<float>>();
  for (const auto& [threshold, kept] : file["kept"].items())
    EXPECT_EQ(suppress(boxes_of(file["boxes"]), scores, std::stof(threshold)),
              kept.get<std::vector<int32_t>>());
}

TEST(Boxes, SuppressionKeepsWhatOverlapsByTheThresholdAndTheLowerIndexOfEquals) {
  const std::vector<BoundingBox> boxes = {
      {0, 0, 2, 1}, {1, 0, 3, 1}, {0, 0, 2, 1}};  // IoU of the first two: 1/3
  const std::vector<float> scores = {0.5f, 0.5f, 0.5f};
  EXPECT_EQ(suppress(boxes, scores, 1.0f / 3), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(suppress(boxes, scores, 0.3f), (std::vector<int32_t>{0}));
  EXPECT_EQ(suppress(boxes, scores, 1.0f, 2), (std::vector<int32_t>{0, 1}));
}

TEST(Boxes, HighestIsATotalOrderWhateverTheScoresAre) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> scores = {1, nan, -0.0f, 3, 0.0f, 3};
  EXPECT_EQ(highest(scores, 6), (std::vector<int32_t>{1, 3, 5, 0, 2, 4}));
  EXPECT_EQ(highest(scores, 3), (std::vector<int32_t>{1, 3, 5}));
  EXPECT_TRUE(highest({}, 5).empty());
}

TEST(Matching, AsTorchvision) {
  const json file = reference_file("detection.json")["matcher"];
  const std::vector<BoundingBox> anchors = boxes_of(file["anchors"]);
  const Matches found = match(anchors, boxes_of(file["truth"]));
  int objects = 0;
  for (size_t i = 0; i < anchors.size(); ++i) {
    // torchvision: the true box, -1 for background, -2 between the thresholds.
    const int expected = file["match"][i];
    const bool object = found.overlap[i] >= 0.7f || found.best_of_some[i];
    EXPECT_EQ(object ? found.best[i] : found.overlap[i] < 0.3f ? -1 : -2, expected) << i;
    objects += object;
  }
  EXPECT_GE(objects, 5);
}

// torchvision takes all anchors as objects where one true box meets none.
TEST(Matching, ATrueBoxThatMeetsNothingIsNobodysBest) {
  const std::vector<BoundingBox> anchors = {{0, 0, 10, 10}, {5, 0, 15, 10}},
                                 truth = {{300, 300, 310, 310}, {0, 0, 6, 6}};
  const Matches found = match(anchors, truth);
  EXPECT_EQ(found.best_of_some, (std::vector<bool>{true, false}));
  EXPECT_EQ(found.best[0], 1);
  EXPECT_EQ(match(anchors, {}).best, (std::vector<int32_t>{-1, -1}));
}

TEST(Anchors, OfCocosLargestSideAreAsManyAsThePaperSays) {
  const std::vector<BoundingBox> anchors = make_anchors({}, 800, 1344);
  EXPECT_EQ(anchors.size(), 268569u);
  // Ratio 1/2 first: 32 x 32 pixels of area, twice as wide as high, at the picture's corner.
  EXPECT_FLOAT_EQ(anchors[0].x2, 16 * std::sqrt(2.0f));
  EXPECT_FLOAT_EQ(anchors[0].y2, 8 * std::sqrt(2.0f));
  EXPECT_EQ(anchors[1], (BoundingBox{-16, -16, 16, 16}));
  EXPECT_EQ(anchors[4], (BoundingBox{-12, -16, 20, 16})) << "one place to the right";
  EXPECT_EQ(anchors[3 * 336 + 1], (BoundingBox{-16, -12, 16, 20})) << "one place down";
  EXPECT_EQ(anchors.back().x1, 20 * 64 - 256 / std::sqrt(2.0f));
}

TEST(Anchors, LevelOfABox) {
  const DetectorSpec coco;
  const auto square = [](float side) { return BoundingBox{10, 10, 10 + side, 10 + side}; };
  EXPECT_EQ(level_of(coco, square(224)), 2);
  EXPECT_EQ(level_of(coco, square(223)), 1);
  EXPECT_EQ(level_of(coco, square(448)), 3);
  EXPECT_EQ(level_of(coco, square(4000)), 3);
  EXPECT_EQ(level_of(coco, square(1)), 0);
  EXPECT_EQ(level_of(coco, {5, 5, 5, 9}), 0) << "without area";
}

// On the grid of levels() in detection.py.
TEST(Anchors, LevelsNearTheirBordersAsPyTorch) {
  const json file = reference_file("detection.json")["levels"];
  const int steps = file["steps"];
  const auto stepped = [](float side, int by) {
    return std::bit_cast<float>(std::bit_cast<int32_t>(side) + by);
  };
  size_t row = 0;
  for (const float canonical : {224.0f, 56.0f}) {
    DetectorSpec spec;
    spec.canonical_side = double(canonical);
    for (const float factor : {0.5f, 1.0f, 2.0f})
      for (const float slender : {1.0f, 2.0f})
        for (const auto& [x, y] : {std::pair(0.0f, 0.0f), std::pair(37.7f, 11.3f)})
          for (int high = -2; high <= 2; ++high) {
            std::string levels;
            for (int wide = -steps; wide <= steps; ++wide) {
              const BoundingBox box{x, y, x + stepped(canonical * factor * slender, wide),
                                    y + stepped(canonical * factor / slender, high)};
              levels += std::to_string(2 + level_of(spec, box));
            }
            EXPECT_EQ(levels, file["rows"].at(row++).get<std::string>()) << canonical << ' ' << factor;
          }
  }
  EXPECT_EQ(row, file["rows"].size());
}

class TargetsTest : public ::testing::Test {
 protected:
  DetectorSpec spec() const {
    DetectorSpec s;
    s.rpn_samples = 32;
    s.roi_samples = 16;
    return s;
  }
  std::vector<BoundingBox> anchors = make_anchors(spec(), 128, 128);
  TrueBoxes truth{{{10, 10, 60, 50}, {70, 60, 110, 120}}, {3, 1}};
};

TEST_F(TargetsTest, AnchorsAreAFunctionOfSeedEpochAndImage) {
  const auto draw = [&](uint64_t seed, uint32_t epoch, uint32_t image) {
    return anchor_targets(spec(), anchors, truth.boxes, {seed, box_purpose::anchor_sample, epoch, image}).anchors;
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(2, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 3, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 4));
}

TEST_F(TargetsTest, AnchorsOfObjectsLeadToTheirBoxes) {
  const AnchorTargets targets =
      anchor_targets(spec(), anchors, truth.boxes, {1, box_purpose::anchor_sample, 1, 0});
  ASSERT_EQ(targets.anchors.size(), 32u);
  int objects = 0;
  std::vector<bool> seen(anchors.size(), false);
  for (size_t i = 0; i < 32; ++i) {
    const auto at = size_t(targets.anchors[i]);
    EXPECT_FALSE(seen[at]) << "twice";
    seen[at] = true;
    EXPECT_EQ(targets.weights[i], 1);
    float most = 0;
    for (const BoundingBox& t : truth.boxes) most = std::max(most, iou(anchors[at], t));
    if (targets.objects[i] == 0) {
      EXPECT_LT(most, 0.3f);
      EXPECT_EQ(targets.deltas[i], BoxDeltas{});
      continue;
    }
    ++objects;
    const BoundingBox box = proposal_coder.decode(targets.deltas[i], anchors[at]);
    EXPECT_GT(std::max(iou(box, truth.boxes[0]), iou(box, truth.boxes[1])), 0.999f);
  }
  EXPECT_GE(objects, 2) << "each true box has its best anchor";
  EXPECT_LE(objects, 16);
}

TEST_F(TargetsTest, AnImageWithoutObjectsHasBackgroundOnly) {
  const AnchorTargets targets = anchor_targets(spec(), anchors, {}, {1, box_purpose::anchor_sample, 1, 0});
  EXPECT_EQ(std::accumulate(targets.objects.begin(), targets.objects.end(), 0.0f), 0);
  EXPECT_EQ(std::accumulate(targets.weights.begin(), targets.weights.end(), 0.0f), 32);
  const RoiTargets rois =
      roi_targets(spec(), {{0, 0, 9, 9}, {4, 4, 30, 30}}, {}, 5, {1, box_purpose::roi_sample, 1, 0});
  EXPECT_EQ(rois.classes, (std::vector<int32_t>{5, 5}));
}

// Where the object covers all anchors there is too little background.
TEST_F(TargetsTest, PlacesWithoutAnAnchorAreFilledByOthersOfWeightZero) {
  const std::vector<BoundingBox> few = {{0, 0, 10, 10}, {0, 0, 10, 11}, {0, 0, 10, 16}, {50, 50, 60, 60}};
  DetectorSpec small = spec();
  small.rpn_samples = 4;
  const std::vector<BoundingBox> object = {{0, 0, 10, 10}};
  const AnchorTargets targets = anchor_targets(small, few, object, {1, box_purpose::anchor_sample, 1, 0});
  EXPECT_EQ(targets.anchors, (std::vector<int32_t>{0, 1, 3, 2}));
  EXPECT_EQ(targets.weights, (std::vector<float>{1, 1, 1, 0}));
  EXPECT_EQ(targets.objects, (std::vector<float>{1, 1, 0, 0}));
}

TEST_F(TargetsTest, RoisAreAtMostAQuarterObjectsAndContainTheTrueBoxes) {
  std::vector<BoundingBox> proposals;
  for (int i = 0; i < 40; ++i) proposals.push_back({10.0f + float(i) / 8, 10, 60, 50});   // objects
  for (int i = 0; i < 40; ++i) proposals.push_back({float(i), 100, float(i) + 20, 120});  // background
  const RoiTargets rois = roi_targets(spec(), proposals, truth, 7, {1, box_purpose::roi_sample, 1, 0});
  ASSERT_EQ(rois.boxes.size(), 16u);
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(rois.classes[i] == 7, i >= 4);
    if (i >= 4) continue;
    const size_t t = rois.classes[i] == 3 ? 0 : 1;
    EXPECT_GT(iou(class_coder.decode(rois.deltas[i], rois.boxes[i]), truth.boxes[t]), 0.999f);
  }
  const RoiTargets alone = roi_targets(spec(), {}, truth, 7, {1, box_purpose::roi_sample, 1, 0});
  EXPECT_EQ(alone.boxes, truth.boxes) << "the true boxes are candidates; fewer candidates are fewer boxes";
  EXPECT_EQ(alone.classes, truth.classes);
}

class RoiAlignReference : public ::testing::TestWithParam<Arithmetic> {};

TEST_P(RoiAlignReference, AsTorchvision) {
  const auto device = Device::open({.name = GetParam().device});
  const DType type = GetParam().type;
  const double tolerance = GetParam().tolerance();
  const json file = reference_file("detection.json")["roi_align"];
  Tape tape(*device);
  const Pass pass{*device, &tape, true};
  const auto constant = [&](const Shape& shape, const std::vector<double>& values) {
    const Var var = pass.make(shape, type);
    write_values(*device, var, values);
    return var;
  };
  std::vector<Var> levels, kept;
  for (size_t l = 0; l < 2; ++l) {
    const Shape shape = shape_of(file["shapes"][l]);
    const std::string name = "detection.roi_align." + file["names"][l].get<std::string>();
    kept.push_back(constant(shape, closed_values(name, shape.size())));
    levels.push_back(tape.leaf(kept.back()));
  }
  const auto integers = [&](const json& list) {
    const auto values = list.get<std::vector<int32_t>>();
    const Var var = pass.make({int64_t(values.size())}, DType::i32);
    pass.backend().upload(var, values.data());
    return var;
  };
  const auto corners = file["boxes"].get<std::vector<double>>();
  const Var boxes = constant({int64_t(corners.size() / 4), 4}, corners);
  const Var image = integers(file["image"]), level = integers(file["level"]);
  const Var seen = roi_align(pass, levels, file["scales"], boxes, image, level, file["size"]);
  expect_reference(file["value"], read_values(*device, seen), tolerance, "value");
  const Var dy = constant(seen.shape(), closed_values(file["dy"].get<std::string>(), seen.shape().size()));
  tape.backward(sum_all(pass, mul(pass, seen, dy)));
  for (size_t l = 0; l < 2; ++l)
    expect_reference(file["gradients"][l], read_values(*device, tape.gradient(levels[l])), tolerance,
                     text("gradient of level ", l));
}

INSTANTIATE_TEST_SUITE_P(Devices, RoiAlignReference, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

}  // namespace
}  // namespace retort::testing
