// ONNX files: every model translated, read back, and computed by ONNX's definitions.
#include <cmath>

#include "engine/random.h"
#include "models/export/onnx_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/fill_by_rule.h"

namespace retort::testing {
namespace {

struct Exported {
  std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 2});
  std::unique_ptr<Model> model;
  OnnxModel onnx;

  explicit Exported(const std::string& name) : model(make_model(name, *device, {.classes = 100})) {
    fill_by_rule(*model, *device);
    onnx = onnx_model(inference_graph(*model, *device));
    onnx.producer_version = "1.2";
    onnx.metadata = {{"classes", "100"}, {"mean", "0.5 0.5 0.5"}};
  }
};

// One of every family, and small: the plain loops are slow.
class OnnxModels : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, OnnxModels,
                         ::testing::Values("resnet8", "resnet20a", "wrn_16_1", "MobileNetV2", "ShuffleV1",
                                           "ShuffleV2"),
                         [](const auto& tested) { return tested.param; });

TEST_P(OnnxModels, AreReadAsWrittenAndGiveTheModelsLogits) {
  Exported exported(GetParam());
  EXPECT_EQ(parse_onnx(onnx_file(exported.onnx), "x"), exported.onnx);
  Device& device = *exported.device;
  const int64_t side = exported.model->side;
  const Array images = device.persistent({1, side, side, 3}, DType::f32);
  const std::vector<double> pixels = closed_values("images", images.tensor.size(), 2.0, 0.0, 22);
  write_values(device, images, pixels);
  const std::vector<double> expected = read_values(device, (*exported.model)(Var(images), Pass{device}));
  std::vector<float> planar;
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t i = 0; i < side * side; ++i) planar.push_back(float(pixels[size_t(i * 3 + c)]));
  const std::vector<float> found = run_onnx(exported.onnx, planar, 1, "x");
  ASSERT_EQ(found.size(), expected.size());
  double largest = 0;
  for (double v : expected) largest = std::max(largest, std::abs(v));
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(double(found[i]), expected[i], 1e-5 * largest) << i;
}

// A logit of its own was made of NaN by a ReLU and a maximum that took it for less than 0.
TEST(OnnxFile, NaNStaysNaN) {
  for (const std::string name : {"resnet8", "ShuffleV1"}) {
    const Exported exported(name);
    std::vector<float> images(size_t(3 * exported.model->side * exported.model->side), 0.5f);
    images[700] = NAN;
    for (const float logit : run_onnx(exported.onnx, images, 1, "x")) EXPECT_TRUE(std::isnan(logit)) << name;
  }
}

// The other families have an operator that those above lack, or weights in other places.
TEST(OnnxFile, EveryModelHasATranslation) {
  for (const std::string name : {"vgg8", "ResNet18"}) {
    const Exported exported(name);
    EXPECT_EQ(parse_onnx(onnx_file(exported.onnx), "x"), exported.onnx) << name;
  }
}

OnnxModel small_model() {
  OnnxModel model;
  model.name = "small";
  model.input = {"images", "", {3, 2, 2}};
  model.output = {"logits", "", {3}};
  model.initializers = {{"w", {3, 3}, std::vector<float>(9, 0.5f)},
                        {"b", {3}, std::vector<float>(3, 1.0f)},
                        {"shape", {2}, std::vector<int64_t>{0, 3}}};
  model.nodes = {{"GlobalAveragePool", "pool", {"images"}, {"pooled"}, {}, {}},
                 {"Reshape", "flat", {"pooled", "shape"}, {"flat"}, {}, {}},
                 {"Gemm", "fc", {"flat", "w", "b"}, {"logits"}, {}, {{"transB", 1}}}};
  return model;
}

TEST(OnnxFile, SmallExample) {
  const OnnxModel model = parse_onnx(onnx_file(small_model()), "x");
  EXPECT_EQ(model, small_model());
  const std::vector<float> images = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 7};
  EXPECT_EQ(run_onnx(model, images, 1, "x"), std::vector<float>(3, 4.5f));
}

// A value is given up behind its last reader: two are held at once, images and weights not counted.
TEST(OnnxFile, WhatIsHeldAtOnceIsBounded) {
  OnnxModel model = small_model();
  model.output.name = "sum";
  model.nodes = {{"Relu", "r", {"images"}, {"x"}, {}, {}},
                 {"Relu", "s", {"x"}, {"y"}, {}, {}},
                 {"Relu", "t", {"y"}, {"z"}, {}, {}},
                 {"Add", "u", {"z", "z"}, {"sum"}, {}, {}}};
  const std::vector<float> images(12, 1.0f);
  EXPECT_EQ(run_onnx(model, images, 1, "x", 24), std::vector<float>(12, 2.0f));
  expect_fault(Fault::input, "x: Relu 's': more than 23 numbers are needed at once",
               [&] { run_onnx(model, images, 1, "x", 23); });
  model.nodes[3].inputs[1] = "x";  // which lives until then
  expect_fault(Fault::input, "x: Relu 't': more than 24 numbers are needed at once",
               [&] { run_onnx(model, images, 1, "x", 24); });
}

TEST(OnnxFile, NegativeNumbersAndLargeOnes) {
  OnnxModel model = small_model();
  model.nodes[0].integers = {{"a", -1}, {"b", INT64_MAX}, {"c", INT64_MIN}};
  model.nodes[0].lists = {{"d", {-300, 0, 300}}, {"e", {}}};
  EXPECT_EQ(parse_onnx(onnx_file(model), "x"), model);
}

TEST(OnnxFile, WhatDoesNotHoldTogetherIsRefused) {
  expect_fault(Fault::input, "no graph", [] { parse_onnx("", "x"); });
  expect_fault(Fault::input, "x: ", [] { parse_onnx("no ONNX file at all", "x"); });
  OnnxModel model = small_model();
  model.nodes[2].inputs[0] = "nowhere";
  expect_fault(Fault::input, "'nowhere'", [&] { run_onnx(model, std::vector<float>(12), 1, "x"); });
  model = small_model();
  model.nodes[0].op = "Sin";
  expect_fault(Fault::input, "not known", [&] { run_onnx(model, std::vector<float>(12), 1, "x"); });
}

// Found by fuzzing: shapes, windows and lists that no network has, each where an operator believed them.
TEST(OnnxFile, OperatorsRefuseWhatDoesNotFit) {
  using Ints = std::vector<int64_t>;
  const auto refused = [](OnnxNode node, Ints list) {
    OnnxModel model = small_model();
    model.initializers.push_back({"list", {int64_t(list.size())}, list});
    model.initializers.push_back({"zero", {1}, Ints{0}});
    model.initializers.push_back({"wide", {1, 3, 1, 2}, std::vector<float>(6)});
    model.initializers.push_back({"kernel", {1, 3, 3, 3}, std::vector<float>(27)});
    model.initializers.push_back({"two", {2}, std::vector<float>(2)});
    model.initializers.push_back({"none", {1, 0, 2, 2}, std::vector<float>()});
    model.initializers.push_back({"scalar", {}, std::vector<float>(1)});
    model.nodes = {std::move(node)};
    model.output.name = "y";
    SCOPED_TRACE(model.nodes[0].op + " " + model.nodes[0].inputs[0] + " " + std::to_string(list.size()));
    expect_fault(Fault::input, "x: " + model.nodes[0].op,
                 [&] { run_onnx(model, std::vector<float>(12), 1, "x"); });
  };
  const auto window = [](int64_t kernel, int64_t stride, int64_t pad) {
    return std::map<std::string, Ints>{{"kernel_shape", {kernel, kernel}},
                                       {"strides", {stride, stride}},
                                       {"pads", {pad, pad, pad, pad}},
                                       {"dilations", {1, 1}}};
  };
  const std::map<std::string, int64_t> group = {{"group", 1}};
  refused({"Conv", "c", {"images", "wide"}, {"y"}, window(1, 1, 0), group}, {});    // no square
  refused({"Conv", "c", {"images", "kernel"}, {"y"}, window(3, 1, 0), group}, {});  // larger than the image
  refused({"Conv", "c", {"images", "kernel", "two"}, {"y"}, window(3, 1, 1), group}, {});  // bias
  refused({"Conv", "c", {"images", "kernel"}, {"y"}, window(3, 1, 1), {{"group", INT64_MAX}}}, {});
  refused({"MaxPool", "p", {"images"}, {"y"}, window(3, 1, INT64_MAX / 2), {}}, {});
  refused({"MaxPool", "p", {"images"}, {"y"}, window(INT64_MAX, 1, 1), {}}, {});
  refused({"Flatten", "f", {"scalar"}, {"y"}, {}, {}}, {});
  refused({"Relu", "r", {"none"}, {"y"}, {}, {}}, {});
  refused({"Slice", "s", {"images", "list", "list"}, {"y"}, {}, {}}, {});  // an empty list
  refused({"Slice", "s", {"images", "zero", "list"}, {"y"}, {}, {}}, {INT64_MIN});
  refused({"Pad", "p", {"images", "list"}, {"y"}, {}, {}}, {0, INT64_MAX, 0, 0, 0, INT64_MAX, 0, 0});
  refused({"Pad", "p", {"scalar", "list"}, {"y"}, {}, {}}, {});
  refused({"Concat", "c", {"images", "w"}, {"y"}, {}, {{"axis", 1}}}, {});  // of other ranks
  refused({"Concat", "c", {"scalar", "scalar"}, {"y"}, {}, {{"axis", 1}}}, {});
  refused({"Reshape", "r", {"images", "list"}, {"y"}, {}, {}}, {INT64_MAX, 2, 2});

  OnnxModel model = small_model();
  model.output.name = "nowhere";
  expect_fault(Fault::input, "'nowhere'", [&] { run_onnx(model, std::vector<float>(12), 1, "x"); });
}

// A flipped bit of a weight was believed, by eval and predict as well.
TEST(OnnxFile, EveryChangedByteIsFound) {
  const std::string whole = onnx_file(small_model());
  EXPECT_TRUE(parse_onnx(whole, "x").has_hash);
  const size_t entry = 26;  // of metadata, with the hash
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string file = whole;
    file[at] ^= 4;
    expect_fault(Fault::input, "x: ", [&] { parse_onnx(file, "x"); });
    expect_fault(Fault::input, "x: ", [&] { parse_onnx(whole.substr(0, at), "x"); });
  }
  const std::string cut = whole.substr(0, whole.size() - entry);
  expect_fault(Fault::input, "its hash (XXH3) is missing: the file is cut off",
               [&] { parse_onnx(cut, "x"); });
  std::string other = whole;
  other.back() = other.back() == '0' ? '1' : '0';
  expect_fault(Fault::input, "its hash (XXH3) is another one", [&] { parse_onnx(other, "x"); });
  // As 0.1.0 wrote it.
  std::string old = cut;
  const size_t version = old.find("\x28\x02");
  ASSERT_NE(version, std::string::npos);
  old.erase(version, 2);
  OnnxModel without = small_model();
  without.has_hash = false;
  EXPECT_EQ(parse_onnx(old, "x"), without);
}

// 2^62 classes made a count of logits that wrapped to 0.
TEST(OnnxFile, ExtentsAreBounded) {
  for (const int64_t extent : {int64_t{0}, int64_t{-1}, (int64_t{1} << 24) + 1, int64_t{1} << 62}) {
    OnnxModel model = small_model();
    model.output.shape.back() = extent;
    const std::string file = onnx_file(model);
    expect_fault(Fault::input, "expected 1 to 16777216", [&] { parse_onnx(file, "x"); });
  }
}

TEST(OnnxFile, MutationsAreRefusedOrRead) {
  const std::string original = onnx_file(small_model());
  int refused = 0;
  for (uint32_t i = 0; i < 2000; ++i) {
    const Random4 draw = random4(78, Purpose::weights, 0, i, 0);
    std::string file = original;
    const size_t at = draw.v[0] % file.size();
    if (draw.v[1] % 3 == 0) file.resize(at);
    if (draw.v[1] % 3 == 1) file[at] = char(draw.v[2]);
    if (draw.v[1] % 3 == 2) file.insert(at, 1 + draw.v[3] % 5, char(draw.v[2]));
    try {
      parse_onnx(file, "x");
    } catch (const Error& error) {
      ASSERT_EQ(error.fault(), Fault::input) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace retort::testing
