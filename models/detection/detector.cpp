#include "models/detection/detector.h"

#include <algorithm>

#include "engine/base/nearest.h"

namespace retort {

namespace {

std::unique_ptr<Backbone> backbone_of(Device& device, const DetectorPlan& plan, DType type) {
  return plan.backbone == "mobilenet" ? make_mobilenet_backbone(device, type)
                                      : make_resnet_backbone(device, plan.resnet, type);
}

// For pictures of about 128 pixels: anchors and the canonical box are smaller, levels p2 to p5.
DetectorPlan small_plan(int64_t backbone_width, int64_t width, int64_t hidden) {
  DetectorPlan plan;
  plan.spec.sizes = {16, 32, 64, 128};
  plan.spec.train_sides = plan.spec.test_sides = {};
  plan.spec.canonical_side = 56;
  plan.spec.rpn_samples = 64;
  plan.spec.candidates_train = plan.spec.candidates_test = 512;
  plan.spec.proposals_train = plan.spec.proposals_test = 256;
  plan.spec.roi_samples = 64;
  plan.resnet = {.depth = 18, .width = backbone_width, .frozen = false};
  plan.width = width;
  plan.hidden = hidden;
  plan.height = plan.side = 128;
  return plan;
}

DetectorPlan large_plan(int depth, bool stride_in_1x1 = true) {
  DetectorPlan plan;
  plan.resnet.depth = depth;
  plan.resnet.stride_in_1x1 = stride_in_1x1;
  return plan;
}

DetectorPlan mobilenet_plan() {
  DetectorPlan plan;
  plan.backbone = "mobilenet";
  return plan;
}

const std::vector<std::pair<std::string, DetectorPlan>>& plans() {
  static const std::vector<std::pair<std::string, DetectorPlan>> all = {
      {"rcnn_tiny", small_plan(16, 32, 128)},
      {"rcnn_small", small_plan(32, 64, 256)},
      {"rcnn_r18", large_plan(18)},
      {"rcnn_r50", large_plan(50)},
      {"rcnn_r101", large_plan(101)},
      {"rcnn_mv2", mobilenet_plan()},
      {"rcnn_r50_v15", large_plan(50, false)},
      {"rcnn_r101_v15", large_plan(101, false)}};
  return all;
}

}  // namespace

Detector::Detector(Device& device, const ModelOptions& options, const DetectorPlan& plan)
    : spec_(plan.spec),
      backbone_(backbone_of(device, plan, options.type)),
      pyramid_(device, backbone_->channels, plan.width, plan.spec.levels(), options.type),
      proposals_(device, plan.width, int(plan.spec.ratios.size()), options.type),
      boxes_(device, plan.spec, plan.width, plan.hidden, options.classes, options.type),
      height_(plan.height) {
  side = plan.side;
}

void Detector::visit(Visitor& visitor) {
  visitor.child("backbone.bottom_up", *backbone_);
  visitor.child("backbone", pyramid_);
  visitor.child("proposal_generator.rpn_head", proposals_);
  visitor.child("roi_heads", boxes_);
}

std::vector<Var> Detector::pyramid(const Var& images, const Pass& pass) {
  const Shape& s = images.shape();
  check(s.rank() == 4 && s[1] % spec_.pad_multiple == 0 && s[2] % spec_.pad_multiple == 0, name,
        ": images of ", s, ", expected sides that are multiples of ", spec_.pad_multiple);
  return pyramid_((*backbone_)(images, pass), pass);
}

Judged Detector::judge(const std::vector<Var>& pyramid, const HostRois& rois, const Pass& pass) {
  const DType type = pyramid.front().type() == DType::f64 ? DType::f64 : DType::f32;
  return boxes_(pyramid, upload_rois(spec_, rois, Pass{pass.device}, type), pass);
}

Outputs Detector::forward(const Var& images, const Pass& pass, bool) {
  const Shape& s = images.shape();
  const std::vector<Var> levels = pyramid(images, pass);
  propose(levels, pass);
  HostRois rois;
  for (int64_t n = 0; n < s[0]; ++n) {
    rois.boxes.insert(rois.boxes.end(), size_t(spec_.roi_samples), {0, 0, float(s[2]), float(s[1])});
    rois.images.insert(rois.images.end(), size_t(spec_.roi_samples), int32_t(n));
  }
  Outputs outputs;
  outputs.logits = judge(levels, rois, pass).logits;
  return outputs;
}

std::vector<std::string> detector_names() {
  std::vector<std::string> names;
  for (const auto& [name, plan] : plans()) names.push_back(name);
  return names;
}

bool is_detector(const std::string& name) {
  const std::vector<std::string> names = detector_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::unique_ptr<Detector> make_detector(const std::string& name, Device& device,
                                        const ModelOptions& options) {
  for (const auto& [known, plan] : plans()) {
    if (known != name) continue;
    auto detector = std::make_unique<Detector>(device, options, plan);
    detector->name = name;
    detector->classes = options.classes;
    return detector;
  }
  fail(Fault::usage, "detector '", name, "' is unknown; ",
       suggestion(name, detector_names(), "`retort info` lists all"));
}

Rois upload_rois(const DetectorSpec& spec, const HostRois& rois, const Pass& pass, DType type) {
  const auto count = int64_t(rois.boxes.size());
  check(int64_t(rois.images.size()) == count && count > 0, "upload_rois: ", count, " boxes of ",
        rois.images.size(), " images");
  std::vector<int32_t> levels;
  for (const BoundingBox& box : rois.boxes) levels.push_back(level_of(spec, box));
  const Var boxes = pass.make({count, 4}, type), images = pass.make({count}, DType::i32),
            level = pass.make({count}, DType::i32);
  Backend& backend = pass.backend();
  if (type == DType::f32) {
    backend.upload(boxes, rois.boxes.data());
  } else {
    std::vector<double> corners;
    for (const BoundingBox& b : rois.boxes) corners.insert(corners.end(), {b.x1, b.y1, b.x2, b.y2});
    write_values(pass.device, boxes, corners);
  }
  backend.upload(images, rois.images.data());
  backend.upload(level, levels.data());
  return {boxes, images, level};
}

}  // namespace retort
