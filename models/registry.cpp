#include <functional>

#include "engine/base/nearest.h"
#include "models/added.h"
#include "models/borrowed_classifier.h"
#include "models/detection/detector.h"
#include "models/model.h"
#include "models/network_input.h"
#include "models/zoo/mobilenet_v1.h"
#include "models/zoo/mobilenet_v2.h"
#include "models/zoo/resnet.h"
#include "models/zoo/shufflenet_v1.h"
#include "models/zoo/shufflenet_v2.h"
#include "models/zoo/vgg.h"
#include "models/zoo/wrn.h"

namespace retort {

namespace {

using Maker = std::function<std::unique_ptr<Model>(Device&, const ModelOptions&)>;

const std::vector<std::pair<std::string, Maker>>& makers() {
  static const auto list = [] {
    std::vector<std::pair<std::string, Maker>> all;
    for (int depth : {8, 14, 20, 32, 44, 56, 110}) {
      all.push_back({text("resnet", depth), [=](Device& d, const ModelOptions& o) {
                       return make_cifar_resnet(d, o, depth, false);
                     }});
    }
    for (int depth : {20, 32, 44, 56, 110}) {
      all.push_back({text("resnet", depth, "a"),
                     [=](Device& d, const ModelOptions& o) { return make_option_a_resnet(d, o, depth); }});
    }
    for (int depth : {8, 32}) {
      all.push_back({text("resnet", depth, "x4"),
                     [=](Device& d, const ModelOptions& o) { return make_cifar_resnet(d, o, depth, true); }});
    }
    for (int depth : {16, 40}) {
      for (int width : {1, 2}) {
        all.push_back({text("wrn_", depth, "_", width),
                       [=](Device& d, const ModelOptions& o) { return make_wrn(d, o, depth, width); }});
      }
    }
    for (int depth : {8, 11, 13, 16, 19}) {
      all.push_back(
          {text("vgg", depth), [=](Device& d, const ModelOptions& o) { return make_vgg(d, o, depth); }});
    }
    all.push_back({"MobileNetV2", make_mobilenet_v2});
    all.push_back({"ShuffleV1", make_shufflenet_v1});
    all.push_back({"ShuffleV2", make_shufflenet_v2});
    for (int depth : {18, 50}) {
      all.push_back({text("ResNet", depth),
                     [=](Device& d, const ModelOptions& o) { return make_resnet(d, o, depth); }});
    }
    for (int depth : {18, 34, 50, 101}) {
      all.push_back({text("resnet", depth, "_imagenet"),
                     [=](Device& d, const ModelOptions& o) { return make_imagenet_resnet(d, o, depth); }});
    }
    all.push_back({"MobileNetV1", make_mobilenet_v1});
    return all;
  }();
  // And what a program brought of its own.
  static const auto with_added = [] {
    auto all = list;
    for (const auto& [name, make] : added_models()) {
      for (const auto& [known, ignored] : all)
        check(known != name, "add_model: there are two networks ", name, "; call yours otherwise");
      all.push_back({name, make});
    }
    return all;
  }();
  return with_added;
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const auto& [name, make] : makers()) names.push_back(name);
  return names;
}

std::unique_ptr<Model> make_model(const std::string& name, Device& device, const ModelOptions& options) {
  check(options.classes >= 1, Fault::usage, "model ", name, ": ", options.classes,
        " classes, expected 1 or more");
  check(options.side == 0 || (options.side >= least_side && options.side <= most_side), Fault::usage,
        "model ", name, ": images of side ", options.side, ", expected ", least_side, " to ", most_side);
  check(!options.double_batch_norm || name.starts_with("wrn_"), Fault::usage, "model ", name,
        ": double_batch_norm is set, which only wrn_* models know; leave it out");
  if (is_detector(name)) return make_detector(name, device, options);
  for (const auto& [known, make] : makers()) {
    if (known != name) continue;
    std::unique_ptr<Model> model = make(device, options);
    model->name = name;
    model->classes = options.classes;
    if (options.side) model->side = options.side;
    if (model->side == 0) model->side = own_side(name);
    return model;
  }
  if (const size_t plus = name.find('+'); plus != std::string::npos) {
    const std::string body = name.substr(0, plus), lender = name.substr(plus + 1);
    check(lender.find('+') == std::string::npos && !is_detector(body), Fault::usage, "model '", name,
          "' is unknown; expected BODY+LENDER, two networks that classify");
    ModelOptions others = options;
    others.double_batch_norm = false;
    const auto donor = make_model(lender, device, others);
    auto model =
        std::make_unique<BorrowedClassifier>(device, make_model(body, device, options), *donor, options.type);
    model->name = name;
    model->classes = options.classes;
    model->side = options.side ? options.side : own_side(body);
    return model;
  }
  std::vector<std::string> all = model_names(), detectors = detector_names();
  all.insert(all.end(), detectors.begin(), detectors.end());
  fail(Fault::usage, "model '", name, "' is unknown; ",
       suggestion(name, all, "`retort info` lists all"));
}

}  // namespace retort
