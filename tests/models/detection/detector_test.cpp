#include "models/detection/detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "layers/state.h"
#include "models/model_summary.h"

namespace retort {
namespace {

int64_t without_norms(Model& model) {
  class Counter : public Visitor {
   public:
    int64_t count = 0;

   protected:
    void on_parameter(const std::string& name, Parameter& p, Init) override {
      if (name.find(".norm.") == std::string::npos) count += p.value.tensor.size();
    }
  } counter;
  model.visit(counter);
  return counter.count;
}

// The published counts, for COCO's 80 classes.
TEST(Detectors, HaveAsManyParametersAsPublished) {
  const std::pair<const char*, int64_t> published[] = {{"rcnn_r18", 28'674'656},
                                                       {"rcnn_r50", 41'699'936},
                                                       {"rcnn_r101", 60'639'840},
                                                       {"rcnn_mv2", 19'162'976}};
  for (const auto& [name, count] : published) {
    const auto device = Device::open({.name = "portable"});
    const auto detector = make_detector(name, *device, {.classes = 80});
    EXPECT_EQ(without_norms(*detector), count) << name;
    EXPECT_EQ(count_parameters(*detector), count) << name << ": frozen norms are buffers";
  }
}

TEST(Detectors, SmallOnesCost) {
  const std::pair<const char*, double> expected[] = {{"rcnn_tiny", 0.09}, {"rcnn_small", 0.32}};
  for (const auto& [name, giga] : expected) {
    const auto device = Device::open({.name = "portable"});
    const auto detector = make_detector(name, *device, {.classes = 24});
    const ModelSummary summary = summarize(*detector, *device, detector->input_shape());
    EXPECT_NEAR(double(summary.macs) * 1e-9, giga, 0.006) << name;
    EXPECT_EQ(summary.parameters, count_parameters(*detector));
  }
}

TEST(Detectors, StemAndFirstStageOfImageNetsWeightsDoNotLearn) {
  const auto device = Device::open({.name = "portable"});
  const auto detector = make_detector("rcnn_r18", *device, {.classes = 3});
  int frozen = 0;
  for (const NamedParameter& p : parameters_of(*detector)) {
    const bool fixed =
        p.name.starts_with("backbone.bottom_up.stem.") || p.name.starts_with("backbone.bottom_up.res2.");
    EXPECT_EQ(!p.parameter->grad, fixed) << p.name;
    frozen += fixed;
  }
  EXPECT_EQ(frozen, 5);
  const auto mobile = make_detector("rcnn_mv2", *device, {.classes = 3});
  for (const NamedParameter& p : parameters_of(*mobile)) EXPECT_TRUE(p.parameter->grad) << p.name;
  const auto tiny = make_detector("rcnn_tiny", *device, {.classes = 3});
  for (const NamedParameter& p : parameters_of(*tiny)) EXPECT_TRUE(p.parameter->grad) << p.name;
}

TEST(Detectors, NamesAreDetectron2s) {
  const auto device = Device::open({.name = "portable"});
  const auto detector = make_detector("rcnn_r50", *device, {.classes = 3});
  std::set<std::string> names;
  for (const HostTensor& t : state_of(*detector, *device)) names.insert(t.name);
  for (const char* name :
       {"backbone.bottom_up.stem.conv1.weight", "backbone.bottom_up.stem.conv1.norm.running_var",
        "backbone.bottom_up.res2.0.shortcut.norm.weight", "backbone.bottom_up.res5.2.conv3.weight",
        "backbone.fpn_lateral2.bias", "backbone.fpn_output5.weight",
        "proposal_generator.rpn_head.conv.weight", "proposal_generator.rpn_head.objectness_logits.bias",
        "proposal_generator.rpn_head.anchor_deltas.weight", "roi_heads.box_head.fc1.weight",
        "roi_heads.box_head.fc2.bias", "roi_heads.box_predictor.cls_score.weight",
        "roi_heads.box_predictor.bbox_pred.bias"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Detectors, PlacesOfProposalsAreTheAnchors) {
  const auto device = Device::open({.name = "portable"});
  const auto detector = make_detector("rcnn_tiny", *device, {.classes = 3});
  initialize(*detector, *device, 1);
  const Pass pass{*device};
  const Var images = pass.make({2, 96, 160, 3}, DType::f32);
  device->backend().fill(images, 0.5);
  const auto pyramid = detector->pyramid(images, pass);
  ASSERT_EQ(pyramid.size(), 4u);
  EXPECT_EQ(pyramid[0].shape(), Shape({2, 24, 40, 32}));
  EXPECT_EQ(pyramid[3].shape(), Shape({2, 3, 5, 32}));
  const Proposed proposed = detector->propose(pyramid, pass);
  const auto anchors = int64_t(make_anchors(detector->spec(), 96, 160).size());
  EXPECT_EQ(proposed.logits.shape(), Shape({2, anchors}));
  EXPECT_EQ(proposed.deltas.shape(), Shape({2, anchors, 4}));
  const HostRois rois{{{0, 0, 50, 40}, {3, 4, 9, 90}, {0, 0, 160, 96}}, {0, 1, 1}};
  const Judged judged = detector->judge(pyramid, rois, pass);
  EXPECT_EQ(judged.logits.shape(), Shape({3, 4}));
  EXPECT_EQ(judged.deltas.shape(), Shape({3, 12}));
}

// A student's boxes are judged by teachers whose canonical box is another.
TEST(Detectors, BoxesAreOnTheLevelsOfTheDetectorThatJudgesThem) {
  const auto device = Device::open({.name = "portable"});
  const HostRois box{{{40, 40, 100, 100}}, {0}};
  struct Case {
    const char* name;
    int level;
    int64_t width;
  };
  for (const Case& c : {Case{"rcnn_tiny", 2, 32}, Case{"rcnn_r18", 0, 256}}) {
    SCOPED_TRACE(c.name);
    const auto detector = make_detector(c.name, *device, {.classes = 3});
    initialize(*detector, *device, 1);
    const Pass pass{*device};
    const auto logits = [&](const std::function<double(int level)>& content) {
      std::vector<Var> pyramid;
      for (int i = 0; i < 4; ++i) {
        pyramid.push_back(pass.make({1, 64 >> i, 64 >> i, c.width}, DType::f32));
        device->backend().fill(pyramid.back(), content(i));
      }
      return read_values(*device, detector->judge(pyramid, box, pass).logits);
    };
    const auto own = logits([](int i) { return i + 1.0; });
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(own == logits([&](int) { return i + 1.0; }), i == c.level) << "level " << i;
  }
}

TEST(Detectors, UnknownNamesAreRefusedWithTheNearest) {
  const auto device = Device::open({.name = "portable"});
  try {
    make_model("rcnn_r19", *device, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::usage);
    EXPECT_NE(std::string(error.what()).find("rcnn_r18"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace retort
