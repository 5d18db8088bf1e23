// Detectors' weights of other programs: files of PyTorch's that a script beside the test data writes, and
// small ones of our own making.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "distill/train/start_weights.h"
#include "models/channel_numbers.h"
#include "models/detection/detector.h"
#include "tests/support/expect_error.h"
#include "tests/support/numpy_writer.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/runs.h"

namespace retort::testing {
namespace {

using nlohmann::json;

// --- what PyTorch computes of the same weights

// The picture of detector_files.py as a network sees it that its weights came with numbers for.
Var picture(Device& device, const Weights& weights) {
  const ChannelNumbers mean = channel_numbers(weights, "mean").value(),
                       deviation = channel_numbers(weights, "std").value();
  std::vector<double> values;
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 96; ++x)
      for (size_t c = 0; c < 3; ++c) {
        const int byte = (y * 7 + x * 3 + int(c) * 50 + x * y % 31) % 256;
        values.push_back((byte / 255.0 - double(mean[c])) / double(deviation[c]));
      }
  const Var images(device.persistent({1, 64, 96, 3}, DType::f32));
  write_values(device, images, values);
  return images;
}

// Within what f32 does to 50 layers.
void expect_close(const json& expected, Device& device, const Tensor& found, const std::string& what) {
  expect_reference(expected, read_values(device, found), 2e-4, what);
}

void expect_scales(const json& expected, Device& device, Detector& detector, const Var& images) {
  const std::vector<Var> scales = detector.backbone()(images, Pass{device});
  ASSERT_EQ(scales.size(), expected["scales"].size());
  for (size_t i = 0; i < scales.size(); ++i)
    expect_close(expected["scales"][i], device, scales[i], text("C", i + 2));
}

void expect_detector(const json& expected, Device& device, Detector& detector, const Weights& weights) {
  const Pass pass{device};
  const Var images = picture(device, weights);
  expect_scales(expected, device, detector, images);
  const std::vector<Var> pyramid = detector.pyramid(images, pass);
  ASSERT_EQ(pyramid.size(), 5u);
  for (size_t i = 0; i < pyramid.size(); ++i) {
    expect_close(expected["pyramid"][i], device, pyramid[i], text("p", i + 2));
    const Proposed proposed = detector.propose({pyramid[i]}, pass);
    expect_close(expected["logits"][i], device, proposed.logits, text("logits of p", i + 2));
    expect_close(expected["deltas"][i], device, proposed.deltas, text("deltas of p", i + 2));
  }
  HostRois rois;
  for (const json& b : expected["boxes"]) {
    rois.boxes.push_back({b[0], b[1], b[2], b[3]});
    rois.images.push_back(0);
  }
  const Judged judged = detector.judge(pyramid, rois, pass);
  expect_close(expected["scores"], device, judged.logits, "scores");
  expect_close(expected["regressions"], device, judged.deltas, "deltas of boxes");
}

// Written by the script; nothing where there is no torchvision.
std::filesystem::path written(const std::string& name, const TempFolder& work) {
  const char* given = std::getenv("RETORT_PYTHON");
  const std::string python = given ? given : "python3",
                    script = python + " " + data_folder() + "/detector_files.py ";
  if (std::system((script + "has-torchvision > /dev/null 2>&1").c_str()) != 0) return {};
  EXPECT_EQ(std::system((script + name + " " + work.path().string()).c_str()), 0);
  for (const char* ending : {".pth", ".pkl"})
    if (std::filesystem::exists(work / (name + ending))) return work / (name + ending);
  return {};
}

json read_json(const std::filesystem::path& file) {
  std::ifstream in(file);
  return json::parse(in);
}

class DetectorFiles : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(DetectorFiles, GivePyTorchsValues) {
  const auto& [name, model] = GetParam();
  const TempFolder work;
  const std::filesystem::path file = written(name, work);
  if (file.empty()) GTEST_SKIP() << "there is no torchvision; RETORT_PYTHON names another Python";
  const json expected = read_json(work / (std::string(name) + ".json"));
  const auto device = Device::open({.name = "portable"});
  const auto load_and_compare = [&](const json& values, const Weights& weights, const std::string& as) {
    const auto loaded = load_model(weights, "", *device);
    EXPECT_EQ(loaded->name, as);
    expect_detector(values, *device, dynamic_cast<Detector&>(*loaded), weights);
  };
  load_and_compare(expected, open_weights(file), model);
  if (!expected.contains("teacher")) return;
  ReadWeights entry;
  entry.entry = "teacher";
  load_and_compare(expected["teacher"], open_weights(file, entry), "rcnn_r50");
}
INSTANTIATE_TEST_SUITE_P(Of, DetectorFiles,
                         ::testing::Values(std::pair("torchvision_r18", "rcnn_r18"),
                                           std::pair("torchvision_r50", "rcnn_r50_v15"),
                                           std::pair("detectron2_r50", "rcnn_r50"),
                                           std::pair("released_mv2", "rcnn_mv2")),
                         [](const auto& tested) { return std::string(tested.param.first); });

class BackboneFiles : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BackboneFiles, StartADetectorWithPyTorchsValues) {
  const auto& [name, model] = GetParam();
  const TempFolder work;
  const std::filesystem::path file = written(name, work);
  if (file.empty()) GTEST_SKIP() << "there is no torchvision; RETORT_PYTHON names another Python";
  const auto device = Device::open({.name = "portable"});
  const auto detector = make_detector(model, *device, {.classes = 3});
  initialize(*detector, *device, 1);
  const std::vector<HostTensor> before = state_of(*detector, *device);
  Weights weights = open_weights(file);
  RunSettings settings;
  settings.model = model;
  expect_contains(load_start(settings, weights, *detector, *device), "the heads are new");
  expect_scales(read_json(work / (std::string(name) + ".json")), *device, *detector,
                picture(*device, weights));
  const std::vector<HostTensor> after = state_of(*detector, *device);
  for (size_t i = 0; i < after.size(); ++i) {
    if (before[i].name.starts_with("backbone.bottom_up.")) continue;
    EXPECT_EQ(before[i].data, after[i].data) << before[i].name;
  }
}
INSTANTIATE_TEST_SUITE_P(Of, BackboneFiles,
                         ::testing::Values(std::pair("msra_r50", "rcnn_r50"),
                                           std::pair("resnet18", "rcnn_r18"),
                                           std::pair("resnet50", "rcnn_r50_v15"),
                                           std::pair("mobilenet_v2", "rcnn_mv2")),
                         [](const auto& tested) { return std::string(tested.param.first); });

// --- small ones, of our own making

std::vector<HostTensor> tiny_state(const std::string& prefix = "", uint64_t seed = 5) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_detector("rcnn_tiny", *device, {.classes = 3});
  initialize(*model, *device, seed);
  std::vector<HostTensor> state = state_of(*model, *device);
  for (HostTensor& t : state) {
    if (t.name == "roi_heads.box_head.fc1.weight") t.shape = {t.shape[0], t.shape[1] * 49};
    t.name = prefix + t.name;
  }
  return state;
}

std::string hash_of_tiny(const Weights& weights) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  return weights_hash(state_of(*load_model(weights, "rcnn_tiny", *device), *device));
}

std::string hash_of_state() {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_detector("rcnn_tiny", *device, {.classes = 3});
  initialize(*model, *device, 5);
  return weights_hash(state_of(*model, *device));
}

const Strings import_tiny = {"import", "d.pkl", "--out", "w.safetensors"};

TEST(DetectorImport, PicklesOfArraysAndPairsGiveTheSameWeights) {
  const TempFolder work;
  const std::string expected = hash_of_state();
  std::vector<HostTensor> state = tiny_state();
  work.write(
      "d.pkl",
      pickle::whole(pickle::dict({{"model", pickle::arrays_of(state)}, {"__author__", pickle::str("me")}})));
  std::vector<HostTensor> pair = tiny_state("teacher.", 6);
  pair.insert(pair.end(), state.begin(), state.end());
  const float one = 1;
  const auto bytes = std::as_bytes(std::span(&one, 1));
  for (const char* extra :
       {"pixel_mean", "proposal_generator.anchor_generator.cell_anchors.0", "kd_trans.0.conv1.weight"})
    pair.push_back({extra, DType::f32, {1}, {bytes.begin(), bytes.end()}});
  work.write("pair.pth", checkpoint_of(pair, false));
  std::vector<HostTensor> wrapped = tiny_state("module.");
  work.write("module.pth", checkpoint_of(wrapped, true));
  for (const char* file : {"d.pkl", "pair.pth", "module.pth"}) {
    const Outcome outcome = run({"import", file, "--out", "w.safetensors", "--json"}, work);
    ASSERT_EQ(outcome.code, 0) << file << outcome.err;
    EXPECT_EQ(json::parse(outcome.out)["model"], "rcnn_tiny");
    EXPECT_EQ(json::parse(outcome.out)["classes"], 3);
    EXPECT_EQ(hash_of_tiny(open_weights(work / "w.safetensors")), expected) << file;
    EXPECT_EQ(hash_of_tiny(open_weights(work / file)), expected) << file;
  }
  expect_contains(run({"import", "pair.pth", "--out", "w.safetensors"}, work).err, "--entry");
  EXPECT_EQ(run({"import", "pair.pth", "--entry", "teacher", "--out", "t.safetensors"}, work).code, 0);
  EXPECT_NE(hash_of_tiny(open_weights(work / "t.safetensors")), expected);
}

TEST(DetectorImport, BgrIsTurnedRound) {
  const TempFolder work;
  work.write("d.pkl", pickle::whole(pickle::arrays_of(tiny_state())));
  Strings bgr = import_tiny;
  bgr.insert(bgr.end(), {"--channels", "bgr"});
  ASSERT_EQ(run(import_tiny, work).code, 0);
  const SafeTensors plain = read_safetensors(work / "w.safetensors");
  expect_contains(run(bgr, work).err, "turned round");
  const SafeTensors turned = read_safetensors(work / "w.safetensors");
  EXPECT_EQ(plain.metadata.at("std"), "0.229 0.224 0.225");
  EXPECT_EQ(turned.metadata.at("std"), "0.003921569 0.003921569 0.003921569");
  const char* stem = "backbone.bottom_up.stem.conv1.weight";
  const auto a = plain.find(stem)->values<float>(), b = turned.find(stem)->values<float>();
  for (size_t o = 0; o < 16; ++o)
    for (size_t c = 0; c < 3; ++c)
      for (size_t i = 0; i < 49; ++i) ASSERT_EQ(a[(o * 3 + c) * 49 + i], b[(o * 3 + 2 - c) * 49 + i]);
  expect_contains(failure(2, {"import", "d.pkl", "--out", "w", "--channels", "grb"}, work),
                  "expected rgb or bgr");
}

TEST(DetectorImport, WhatDoesNotFitIsNamed) {
  const TempFolder work;
  std::vector<HostTensor> state = tiny_state();
  const auto with = [&](const std::string& name, const auto& change) {
    std::vector<HostTensor> changed = state;
    for (HostTensor& t : changed)
      if (t.name == name) change(t);
    work.write("d.pkl", pickle::whole(pickle::arrays_of(changed)));
    return failure(3, import_tiny, work);
  };
  const auto renamed = [](HostTensor& t) { t.name = "other"; };
  expect_contains(with("backbone.fpn_lateral3.bias", renamed), "1 missing: backbone.fpn_lateral3.bias");
  expect_contains(with("proposal_generator.rpn_head.conv.bias",
                       [](HostTensor& t) {
                         t.shape = {4, 8};
                       }),
                  "proposal_generator.rpn_head.conv.bias is [4, 8], expected [32]");
  expect_contains(with("roi_heads.box_head.fc1.weight",
                       [](HostTensor& t) {
                         t.shape = {t.shape[1], t.shape[0]};
                       }),
                  "roi_heads.box_head.fc1.weight is [1568, 128], expected [128, 32, 7, 7]");
  EXPECT_FALSE(std::filesystem::exists(work / "w.safetensors"));

  // Arrays that are not what their shape says, or not numbers of this machine's order.
  const auto array = [&](const std::string& value) {
    work.write("d.pkl", pickle::whole(pickle::dict({{"backbone.bottom_up.stem.conv1.weight", value}})));
    return failure(3, import_tiny, work);
  };
  const std::string where = "array 'backbone.bottom_up.stem.conv1.weight'";
  for (const std::string& message :
       {array(pickle::array({2}, "1234")), array(pickle::array({1}, "1234", "f4", ">")),
        array(pickle::array({1}, "1234", "f4", "<", true)), array(pickle::array({1}, "12345678", "O8", "|"))})
    expect_contains(message, where);
  work.write("d.pkl", pickle::whole(pickle::dict({{"epoch", pickle::integer(3)}})));
  expect_contains(failure(3, import_tiny, work), "numpy arrays by name");
}

TEST(DetectorImport, StartsOfRuns) {
  const TempFolder work;
  const std::string pictures = "scenes:train=4,test=2";
  work.write("three.pkl", pickle::whole(pickle::arrays_of(tiny_state())));
  const auto train = [&](const Strings& more) {
    Strings all = {"train", "--model", "rcnn_tiny", "--data", pictures, "--epochs",
                   "1",     "--batch", "4",         "--out",  "r",      "--force"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  expect_contains(failure(3, train({"--init", "three.pkl"}), work), "init.head=fresh");
  const Outcome fresh = run(train({"--init", "three.pkl", "--set", "init.head=fresh"}), work);
  EXPECT_EQ(fresh.code, 0) << fresh.err;
  expect_contains(fresh.err, "roi_heads.box_predictor, is new");

  std::vector<HostTensor> backbone = tiny_state();
  std::erase_if(backbone, [](const HostTensor& t) { return !t.name.starts_with("backbone.bottom_up."); });
  work.write("backbone.pkl", pickle::whole(pickle::arrays_of(backbone)));
  const Outcome under = run(train({"--init", "backbone.pkl"}), work);
  EXPECT_EQ(under.code, 0) << under.err;
  expect_contains(under.err, "the heads are new");
  expect_contains(failure(3, {"import", "backbone.pkl", "--model", "rcnn_tiny", "--out", "w"}, work),
                  "--init");
  backbone.pop_back();
  work.write("backbone.pkl", pickle::whole(pickle::arrays_of(backbone)));
  expect_contains(failure(3, train({"--init", "backbone.pkl"}), work),
                  "1 missing: res5.1.conv2.norm.running_var");
  HostTensor other = backbone[0];
  other.name = "layer.weight";
  work.write("other.pth", checkpoint_of({other}, false));
  expect_contains(failure(3, train({"--init", "other.pth"}), work), "no ImageNet network");
}

// Weights with the stride of bottlenecks in the 3x3 convolution would compute something else in the others.
TEST(DetectorImport, StridesAreNotMixedUp) {
  Weights weights;
  weights.path = "w.pth";
  weights.architecture = "rcnn_r50_v15";
  expect_fault(Fault::usage, "stride in the 3x3 convolution", [&] { architecture_of(weights, "rcnn_r50"); });
  EXPECT_EQ(architecture_of(weights, ""), "rcnn_r50_v15");
}

}  // namespace
}  // namespace retort::testing
