#include "models/detection/proposals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace retort {
namespace {

DetectorSpec small_spec() {
  DetectorSpec spec;
  spec.sizes = {16, 32, 64, 128};
  return spec;
}

class ProposalsTest : public ::testing::Test {
 protected:
  ProposalsTest() : logits(anchors.size(), -5.0f), deltas(anchors.size(), BoxDeltas{}) {}

  std::vector<BoundingBox> proposals(const PictureArea& picture = {128, 128}) {
    return make_proposals(spec, 128, 128, anchors, logits, deltas, picture, false);
  }
  size_t anchor(int level, int y, int x, int ratio) const {
    size_t first = 0;
    for (int l = 0; l < level; ++l) first += size_t(places(spec, l, 128) * places(spec, l, 128) * 3);
    return first + size_t((y * places(spec, level, 128) + x) * 3 + ratio);
  }

  DetectorSpec spec = small_spec();
  std::vector<BoundingBox> anchors = make_anchors(spec, 128, 128);
  std::vector<float> logits;
  std::vector<BoxDeltas> deltas;
};

TEST_F(ProposalsTest, AreTheBestOfAllLevelsInOrder) {
  logits[anchor(0, 10, 10, 1)] = 3;
  logits[anchor(2, 4, 4, 1)] = 4;
  logits[anchor(1, 8, 4, 1)] = 2;
  spec.proposals_test = 3;
  const std::vector<BoundingBox> found = proposals();
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0], (BoundingBox{32, 32, 96, 96}));
  EXPECT_EQ(found[1], (BoundingBox{32, 32, 48, 48}));
  EXPECT_EQ(found[2], (BoundingBox{16, 48, 48, 80}));
}

TEST_F(ProposalsTest, AreSuppressedWithinALevelOnly) {
  const size_t a = anchor(0, 10, 10, 1), b = anchor(0, 10, 11, 1), c = anchor(1, 5, 5, 1);
  logits[a] = 3;
  logits[b] = 2;
  deltas[b] = {-4.0f / 16, 0, 0, 0};  // the same box
  logits[c] = 1;
  deltas[c] = {0, 0, std::log(0.5f), std::log(0.5f)};  // the same place, from the level above
  spec.proposals_test = 2;
  const std::vector<BoundingBox> found = proposals();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_GT(iou(found[0], found[1]), 0.9f);
}

TEST_F(ProposalsTest, AreClippedToThePictureWithoutItsPadding) {
  logits[anchor(2, 1, 6, 1)] = 4;  // 96 - 32 .. 96 + 32
  spec.proposals_test = 1;
  EXPECT_EQ(proposals({100, 110})[0], (BoundingBox{64, 0, 110, 48}));
  for (const BoundingBox& box : proposals({40, 30})) {
    EXPECT_LE(box.x2, 30);
    EXPECT_LE(box.y2, 40);
    EXPECT_GT(box.area(), 0);
  }
}

TEST_F(ProposalsTest, WithoutFiniteNumbersAreDropped) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::fill(logits.begin(), logits.end(), nan);
  EXPECT_TRUE(proposals().empty());
  std::fill(logits.begin(), logits.end(), 0.0f);
  std::fill(deltas.begin(), deltas.end(), BoxDeltas{nan, 0, 0, 0});
  EXPECT_TRUE(proposals().empty());
  std::fill(deltas.begin(), deltas.end(), BoxDeltas{0, 0, 1e30f, 1e30f});
  for (const BoundingBox& box : proposals()) EXPECT_GT(box.area(), 0) << "clamped";
}

TEST(Detections, AreSuppressedWithinAClassAndSortedOverAll) {
  const DetectorSpec spec;
  const std::vector<BoundingBox> boxes = {{10, 10, 30, 30}, {11, 10, 31, 30}, {50, 50, 90, 90}};
  // Two classes and background.
  const std::vector<float> probabilities = {0.6f, 0.3f, 0.1f, 0.7f, 0.04f, 0.26f, 0.05f, 0.9f, 0.05f};
  std::vector<BoxDeltas> deltas(6, BoxDeltas{});
  deltas[5] = {0, 0, 5 * std::log(2.0f), 0};  // of class 1 at the third box: twice as wide
  const std::vector<Detection> found = make_detections(spec, boxes, probabilities, deltas, 2, {100, 100});
  ASSERT_EQ(found.size(), 3u);  // class 0 at the first box is covered; .04 and .05 are too little
  EXPECT_EQ(found[0].label, 1);
  EXPECT_FLOAT_EQ(found[0].score, 0.9f);
  EXPECT_FLOAT_EQ(found[0].box.x1, 30);
  EXPECT_FLOAT_EQ(found[0].box.x2, 100) << "clipped";
  EXPECT_EQ(found[1].label, 0);
  EXPECT_EQ(found[1].box, boxes[1]);
  EXPECT_EQ(found[2].label, 1);
  EXPECT_EQ(found[2].box, boxes[0]);
}

TEST(Detections, WithoutASideInsideThePictureTakeNoPlace) {
  DetectorSpec spec;
  spec.detections = 1;
  const std::vector<BoundingBox> boxes = {{10, 10, 30, 30}, {50, 50, 90, 90}};
  const std::vector<float> probabilities = {0.9f, 0.1f, 0.6f, 0.4f};
  const std::vector<BoxDeltas> deltas = {{10 * 20, 0, 0, 0}, {}};  // the first goes 20 widths to the right
  const std::vector<Detection> found = make_detections(spec, boxes, probabilities, deltas, 1, {100, 100});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].box, boxes[1]);
}

}  // namespace
}  // namespace retort
