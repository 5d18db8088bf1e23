// What models promise beside their values: features, the start of their weights, options, names.
#include <algorithm>
#include <cmath>
#include <map>

#include "layers/module.h"
#include "models/export/inference_graph.h"
#include "models/model.h"
#include "models/network_input.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

struct Feature {
  int64_t channels, side;
};

// What follows from a stage's pre_relu.
enum class Then { relu, shuffled_relu, pooling, nothing };

struct FeatureCase {
  std::string model;
  std::vector<Feature> stages;
  int64_t pooled;
  Then then;
};

void PrintTo(const FeatureCase& c, std::ostream* out) {
  *out << c.model;
}

class Features : public ::testing::TestWithParam<FeatureCase> {
 protected:
  Features() : device_(Device::open({.name = "portable", .threads = 2})) {
    model_ = make_model(GetParam().model, *device_, {.classes = 7});
    initialize(*model_, *device_, 3);
    const Array images = device_->persistent({2, model_->side, model_->side, 3}, DType::f32);
    std::vector<double> pixels;
    for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
    write_values(*device_, images, pixels);
    images_ = Var(images);
  }

  std::vector<double> values(const Var& x) { return read_values(*device_, x); }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
  Var images_;
};

// Places and shapes; and asking for them does not change the logits.
TEST_P(Features, AreThoseOfTheDistillationBenchmarks) {
  const FeatureCase& expected = GetParam();
  const Pass pass{*device_};
  const Outputs outputs = model_->forward(images_, pass, true);
  EXPECT_EQ(outputs.pooled.shape(), Shape({2, expected.pooled}));
  ASSERT_EQ(outputs.stages.size(), expected.stages.size());
  for (size_t s = 0; s < expected.stages.size(); ++s) {
    const auto [channels, side] = expected.stages[s];
    EXPECT_EQ(outputs.stages[s].shape(), Shape({2, side, side, channels})) << "F" << s;
  }
  ASSERT_EQ(outputs.pre_relu.size(), expected.then == Then::nothing ? 0 : expected.stages.size() - 1);
  for (size_t s = 0; s < outputs.pre_relu.size(); ++s) {
    const Var &pre = outputs.pre_relu[s], &stage = outputs.stages[s + 1];
    ASSERT_EQ(pre.shape(), stage.shape());
    const std::vector<double> before = values(pre);
    EXPECT_LT(*std::min_element(before.begin(), before.end()), 0) << "F" << s + 1;
    if (expected.then == Then::relu) {
      EXPECT_EQ(values(relu(pass, pre)), values(stage));
    }
    if (expected.then == Then::shuffled_relu) {
      EXPECT_EQ(values(channel_shuffle(pass, relu(pass, pre), 2)), values(stage));
    }
  }
  const Outputs plain = model_->forward(images_, pass);
  EXPECT_FALSE(plain.pooled);
  EXPECT_TRUE(plain.stages.empty() && plain.pre_relu.empty());
  const std::vector<double> with = values(outputs.logits), without = values(plain.logits);
  for (size_t i = 0; i < with.size(); ++i) EXPECT_NEAR(with[i], without[i], 1e-5 * (1 + std::abs(with[i])));
  if (expected.then == Then::pooling) {
    EXPECT_EQ(values(global_average_pool(pass, relu(pass, outputs.pre_relu.back()))), values(outputs.pooled));
  }
}

std::vector<Feature> wrn_stages(int64_t k) {
  return {{16, 32}, {16 * k, 32}, {32 * k, 16}, {64 * k, 8}};
}

INSTANTIATE_TEST_SUITE_P(
    , Features,
    ::testing::Values(
        FeatureCase{"resnet8", {{16, 32}, {16, 32}, {32, 16}, {64, 8}}, 64, Then::relu},
        FeatureCase{"resnet8x4", {{32, 32}, {64, 32}, {128, 16}, {256, 8}}, 256, Then::relu},
        FeatureCase{"wrn_16_1", wrn_stages(1), 64, Then::pooling},
        FeatureCase{"wrn_16_2", wrn_stages(2), 128, Then::pooling},
        FeatureCase{"vgg8", {{64, 32}, {128, 16}, {256, 8}, {512, 4}, {512, 4}}, 512, Then::relu},
        FeatureCase{"MobileNetV2", {{16, 16}, {12, 16}, {16, 8}, {48, 4}, {160, 2}}, 1280, Then::nothing},
        FeatureCase{"ShuffleV1", {{24, 32}, {240, 16}, {480, 8}, {960, 4}}, 960, Then::relu},
        FeatureCase{"ShuffleV2", {{24, 32}, {116, 16}, {232, 8}, {464, 4}}, 1024, Then::shuffled_relu},
        FeatureCase{"ResNet50", {{64, 32}, {256, 32}, {512, 16}, {1024, 8}, {2048, 4}}, 2048, Then::relu},
        FeatureCase{
            "resnet18_imagenet", {{64, 112}, {64, 56}, {128, 28}, {256, 14}, {512, 7}}, 512, Then::relu},
        FeatureCase{
            "resnet50_imagenet", {{64, 112}, {256, 56}, {512, 28}, {1024, 14}, {2048, 7}}, 2048, Then::relu},
        FeatureCase{
            "MobileNetV1", {{32, 112}, {128, 56}, {256, 28}, {512, 14}, {1024, 7}}, 1024, Then::relu}),
    [](const auto& tested) { return tested.param.model; });

struct InitCollector : Visitor {
  std::map<std::string, Init> inits;
  void on_parameter(const std::string& name, Parameter&, Init init) override { inits[name] = init; }
};

struct ExpectedInit {
  const char* model;
  const char* parameter;
  Init::Kind kind;
  double value;
};

TEST(ModelInit, FollowsEachModelsRule) {
  const ExpectedInit expected[] = {
      {"resnet20", "layer2.0.conv1.weight", Init::normal, std::sqrt(2.0 / (9 * 32))},
      {"resnet20", "fc.weight", Init::uniform, 1 / std::sqrt(64.0)},
      {"resnet20", "fc.bias", Init::uniform, 1 / std::sqrt(64.0)},
      {"wrn_16_2", "block2.layer.0.convShortcut.weight", Init::normal, std::sqrt(2.0 / 64)},
      {"wrn_16_2", "block2.layer.0.conv2.weight", Init::normal, std::sqrt(2.0 / (9 * 64))},
      {"wrn_16_2", "block1.layer.0.bn1.weight", Init::constant, 1},
      {"wrn_16_2", "fc.weight", Init::uniform, 1 / std::sqrt(128.0)},
      {"wrn_16_2", "fc.bias", Init::constant, 0},
      {"vgg8", "block1.0.weight", Init::normal, std::sqrt(2.0 / (9 * 128))},
      {"vgg8", "block1.0.bias", Init::constant, 0},
      {"vgg8", "classifier.weight", Init::normal, 0.01},
      {"vgg8", "classifier.bias", Init::constant, 0},
      {"MobileNetV2", "blocks.1.0.conv.0.weight", Init::normal, std::sqrt(2.0 / 48)},
      {"MobileNetV2", "blocks.1.0.conv.3.weight", Init::normal, std::sqrt(2.0 / (9 * 48))},
      {"MobileNetV2", "classifier.0.weight", Init::normal, 0.01},
      {"ShuffleV1", "conv1.weight", Init::uniform, 1 / std::sqrt(3.0)},
      {"ShuffleV1", "layer1.0.conv1.weight", Init::uniform, 1 / std::sqrt(24.0)},
      {"ShuffleV1", "layer1.1.conv1.weight", Init::uniform, 1 / std::sqrt(80.0)},
      {"ShuffleV1", "layer1.1.conv2.weight", Init::uniform, 1 / std::sqrt(9.0)},
      {"ShuffleV1", "layer1.1.conv3.weight", Init::uniform, 1 / std::sqrt(20.0)},
      {"ShuffleV1", "linear.bias", Init::uniform, 1 / std::sqrt(960.0)},
      {"ShuffleV2", "layer1.0.conv1.weight", Init::uniform, 1 / std::sqrt(9.0)},
      {"ShuffleV2", "layer1.0.conv2.weight", Init::uniform, 1 / std::sqrt(24.0)},
      {"ShuffleV2", "layer1.1.conv1.weight", Init::uniform, 1 / std::sqrt(58.0)},
      {"ShuffleV2", "conv2.weight", Init::uniform, 1 / std::sqrt(464.0)},
      {"ShuffleV2", "linear.weight", Init::uniform, 1 / std::sqrt(1024.0)},
      {"ResNet50", "layer2.0.shortcut.0.weight", Init::normal, std::sqrt(2.0 / 512)},
      {"ResNet50", "layer2.0.conv2.weight", Init::normal, std::sqrt(2.0 / (9 * 128))},
      {"ResNet50", "linear.weight", Init::uniform, 1 / std::sqrt(2048.0)},
      {"resnet34_imagenet", "conv1.weight", Init::normal, std::sqrt(2.0 / (49 * 64))},
      {"resnet34_imagenet", "layer2.0.downsample.0.weight", Init::normal, std::sqrt(2.0 / 128)},
      {"resnet34_imagenet", "fc.bias", Init::uniform, 1 / std::sqrt(512.0)},
      {"MobileNetV1", "model.0.0.weight", Init::uniform, 1 / std::sqrt(27.0)},
      {"MobileNetV1", "model.2.0.weight", Init::uniform, 1 / std::sqrt(9.0)},
      {"MobileNetV1", "model.2.3.weight", Init::uniform, 1 / std::sqrt(64.0)},
      {"MobileNetV1", "fc.weight", Init::uniform, 1 / std::sqrt(1024.0)},
  };
  const auto device = Device::open({.name = "portable"});
  std::map<std::string, std::map<std::string, Init>> inits;
  for (const ExpectedInit& e : expected) {
    SCOPED_TRACE(text(e.model, " ", e.parameter));
    if (!inits.count(e.model)) {
      InitCollector collector;
      make_model(e.model, *device, {})->visit(collector);
      inits[e.model] = collector.inits;
    }
    ASSERT_TRUE(inits[e.model].count(e.parameter));
    EXPECT_EQ(inits[e.model][e.parameter].kind, e.kind);
    EXPECT_DOUBLE_EQ(inits[e.model][e.parameter].value, e.value);
  }
}

struct MeanCollector : Visitor {
  explicit MeanCollector(Device& d) : device(d) {}
  void on_buffer(const std::string& name, Array& b, Init) override {
    if (name.ends_with("running_mean")) means[name] = read_values(device, b);
  }
  Device& device;
  std::map<std::string, std::vector<double>> means;
};

// mdistiller's double application moves the running statistics of three norms further, and nothing else.
TEST(WideResNet, DoubleBatchNormMovesThreeNormsFurther) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  auto run = [&](bool twice) {
    const auto model = make_model("wrn_16_1", *device, {.type = DType::f64, .double_batch_norm = twice});
    initialize(*model, *device, 3);
    const Array images = device->persistent({2, 32, 32, 3}, DType::f64, 0.5);
    const std::vector<double> logits =
        read_values(*device, (*model)(Var(images.tensor), Pass{*device, nullptr, true}));
    MeanCollector collector(*device);
    model->visit(collector);
    return std::pair{logits, collector.means};
  };
  const auto [logits, once] = run(false);
  const auto [logits_twice, twice] = run(true);
  EXPECT_EQ(logits, logits_twice);
  int moved_further = 0;
  for (const auto& [name, means] : once) {
    SCOPED_TRACE(name);
    const bool doubled = name == "block2.layer.0.bn1.running_mean" ||
                         name == "block3.layer.0.bn1.running_mean" || name == "bn1.running_mean";
    moved_further += doubled;
    for (size_t c = 0; c < means.size(); ++c) {
      // From 0, as initialised.
      EXPECT_NEAR(twice.at(name)[c], (doubled ? 1.9 : 1.0) * means[c], 1e-14);
      EXPECT_NE(means[c], 0);
    }
  }
  EXPECT_EQ(moved_further, 3);
}

TEST(WideResNet, OthersRefuseDoubleBatchNorm) {
  const auto device = Device::open({.name = "portable"});
  expect_fault(Fault::usage, "model vgg8: double_batch_norm is set, which only wrn_*",
               [&] { make_model("vgg8", *device, {.double_batch_norm = true}); });
}

TEST(ModelRegistry, NamesTheNearestModel) {
  const auto device = Device::open({.name = "portable"});
  for (const auto& [wrong, meant] :
       {std::pair{"vgg12", "vgg11"}, {"wrn-40-2", "wrn_40_2"}, {"mobilenetv2", "MobileNetV2"}}) {
    const std::string message = error_of(Fault::usage, [&, name = wrong] { make_model(name, *device, {}); });
    expect_contains(message, text("'", wrong, "'"));
    expect_contains(message, text("did you mean '", meant, "'?"));
  }
}

TEST(ModelSide, IsTheArchitecturesUnlessAnotherIsAskedFor) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  EXPECT_EQ(make_model("resnet8", *device, {})->side, 32);
  EXPECT_EQ(make_model("MobileNetV1", *device, {})->side, 224);
  EXPECT_EQ(make_model("resnet18_imagenet", *device, {.side = 64})->side, 64);
  for (const int64_t side : {int64_t(-1), int64_t(7), int64_t(1) << 40})
    expect_fault(Fault::usage, text("images of side ", side, ", expected 8 to 4096"),
                 [&] { make_model("vgg8", *device, {.side = side}); });
}

// As on Tiny-ImageNet, whose images have 64x64 pixels.
TEST(ModelSide, CifarNetworksTake64) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  for (const std::string& name : model_names()) {
    if (own_side(name) != 32 || (name.starts_with("resnet") && name != "resnet8" && name != "resnet20a"))
      continue;
    SCOPED_TRACE(name);
    const auto model = make_model(name, *device, {.classes = 200, .side = 64});
    const InferenceGraph graph = inference_graph(*model, *device);
    EXPECT_EQ(graph.values[size_t(graph.input)], Shape({64, 64, 3}));
    EXPECT_EQ(graph.values[size_t(graph.output)], Shape({200}));
  }
}

// A ReLU that makes 0 of NaN would let a broken network answer as if it were whole.
TEST(Models, NanReachesTheLogits) {
  for (const std::string& name : available_devices()) {
    if (name == "cuda") continue;  // cuDNN's own ReLU does as it likes
    const auto device = Device::open({.name = name, .threads = 2});
    for (const char* network : {"resnet8", "wrn_16_1", "MobileNetV2"}) {
      const auto model = make_model(network, *device, {.classes = 7});
      initialize(*model, *device, 3);
      const Array images = device->persistent({2, 32, 32, 3}, DType::f32);
      std::vector<double> pixels;
      for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
      pixels[size_t(32 * 32 * 3 + 16 * 32 * 3 + 48)] = NAN;  // in the middle of the second
      write_values(*device, images, pixels);
      const std::vector<double> alone = read_values(*device, (*model)(Var(images), Pass{*device}));
      fold_batch_norms(*model, *device);  // convolutions with a ReLU of their own
      const std::vector<double> folded = read_values(*device, (*model)(Var(images), Pass{*device}));
      Tape tape(*device);
      const std::vector<double> together =
          read_values(*device, (*model)(Var(images), Pass{*device, &tape, true}));
      for (size_t i = 0; i < 14; ++i) {
        EXPECT_EQ(std::isnan(alone[i]), i >= 7) << name << ' ' << network << ' ' << i;
        EXPECT_EQ(std::isnan(folded[i]), i >= 7) << name << ' ' << network << ", folded, " << i;
        EXPECT_TRUE(std::isnan(together[i])) << name << ' ' << network << ", batch norm of the batch, " << i;
      }
    }
  }
}

}  // namespace
}  // namespace retort::testing
