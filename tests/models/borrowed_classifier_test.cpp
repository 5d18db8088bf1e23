// A network that ends in another's classifier: its projector against the original's values, and that it is
// read, run and exported as a network like any other.
#include "models/borrowed_classifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "layers/state.h"
#include "models/export/inference_graph.h"
#include "models/network_input.h"
#include "models/weights.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;
using Values = std::vector<double>;

// Elements cos(0.7 n + phase) or sin(1 + n) of a map N,C,H,W, in our order.
Values map_values(const Shape& nchw, bool sine) {
  const int64_t channels = nchw[1], places = nchw[2] * nchw[3];
  Values values(size_t(nchw.size()));
  for (int64_t i = 0; i < nchw.size(); ++i) {
    const int64_t n = i / (channels * places), c = i / places % channels, place = i % places;
    values[size_t((n * places + place) * channels + c)] =
        sine ? std::sin(1.0 + double(i)) : std::cos(0.7 * double(i));
  }
  return values;
}

// A file's metadata names its network: a call for each + used up the stack.
TEST(BorrowedClassifier, OneNetworkBorrowsFromOne) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  for (const std::string& name : {std::string("resnet8+resnet8+resnet8"), std::string(100'000, '+'),
                                  std::string("rcnn_tiny+resnet8")}) {
    expect_contains(error_of(Fault::usage, [&] { make_model(name, *device, {.classes = 2}); }),
                    "expected BODY+LENDER, two networks that classify");
  }
}

TEST(BorrowedClassifier, ProjectorHasTheOriginalsValues) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  const auto expect = [&](int64_t side, double value, double gradient, double first) {
    Projector projector(*device, 3, 4, DType::f64);
    initialize(projector, *device, 1);
    std::vector<HostTensor> state = state_of(projector, *device);
    int convolution = 0;
    for (HostTensor& t : state) {
      if (!t.name.starts_with("conv")) continue;  // batch norms start as 1 and 0
      const auto values = reinterpret_cast<double*>(t.data.data());
      const int k = convolution++;
      EXPECT_EQ(t.name, "conv" + std::to_string(k + 1) + ".weight");
      for (size_t n = 0; n < t.data.size() / sizeof(double); ++n) values[n] = std::cos(0.7 * double(n) + k);
    }
    ASSERT_EQ(convolution, 3);
    load_state(projector, *device, state, "the formula");
    Tape tape(*device);
    const Pass pass{*device, &tape, true};
    const Array map = device->persistent({2, 4, 4, 3}, DType::f64);
    const Array target = device->persistent({2, side, side, 4}, DType::f64);
    write_values(*device, map, map_values({2, 3, 4, 4}, true));
    write_values(*device, target, map_values({2, 4, side, side}, false));
    const Var leaf = tape.leaf(map);
    const Var x = projector(side < 4 ? adaptive_average_pool(pass, leaf, side, side) : leaf, pass);
    const Var loss = mean_all(pass, square(pass, sub(pass, x, Var(target))));
    EXPECT_NEAR(read_values(*device, loss)[0], value, 1e-10);
    tape.backward(loss);
    const Values found = read_values(*device, tape.gradient(leaf));
    double sum = 0;
    for (const double g : found) sum += std::abs(g);
    EXPECT_NEAR(sum, gradient, 1e-9);
    if (first != 0) {
      EXPECT_NEAR(found[0], first, 1e-10);
    }
  };
  expect(4, 1.0388780963, 7.8517673811, -.1328328500);
  expect(2, 0.9780824867, 1.2863944020, 0);
}

TEST(BorrowedClassifier, ClassifiesWithWhatItBorrowed) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  const auto donor = make_model("wrn_16_1", *device, {.classes = 7});
  initialize(*donor, *device, 2);
  for (const char* body : {"resnet8", "MobileNetV1", "MobileNetV2", "vgg8"}) {
    const auto model = make_model(std::string(body) + "+wrn_16_1", *device, {.classes = 7});
    initialize(*model, *device, 1);
    dynamic_cast<BorrowedClassifier&>(*model).borrow(*donor, *device);
    const Pass pass{*device};
    const Var images = pass.make({2, 32, 32, 3}, DType::f32);
    Values pixels;
    for (int64_t i = 0; i < images.tensor().size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
    write_values(*device, images, pixels);
    const Outputs outputs = model->run(images, pass, true);
    EXPECT_EQ(outputs.map.shape()[3], 64) << body;
    EXPECT_EQ(read_values(*device, outputs.logits),
              read_values(*device, (*donor->classifier())(outputs.pooled, pass)));
    EXPECT_EQ(read_values(*device, (*model)(images, pass)), read_values(*device, outputs.logits));
    EXPECT_EQ(count_parameters(*model) - count_parameters(*make_model(body, *device, {.classes = 7})) > 0,
              true);
    // What the body's own classifier would say is not asked for.
    const InferenceGraph graph = inference_graph(*model, *device);
    EXPECT_EQ(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                            [](const InferenceNode& node) { return node.kind == NodeKind::linear; }),
              1)
        << body;
    // A file of it makes the same network again, without the donor.
    Weights file;
    file.source = "file";
    file.architecture = model->name;
    file.classes = 7;
    file.file.tensors = state_of(*model, *device);
    const auto again = load_model(file, "", *device);
    EXPECT_EQ(read_values(*device, (*again)(images, pass)), read_values(*device, outputs.logits)) << body;
  }
}

TEST(BorrowedClassifier, SeesImagesOfItsBodysSize) {
  EXPECT_EQ(own_side("MobileNetV1+resnet8"), 224);
  EXPECT_EQ(own_side("resnet8+resnet34_imagenet"), 32);
}

TEST(BorrowedClassifier, RefusesAHeadThatReadsSomethingElse) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  expect_contains(error_of(Fault::usage, [&] { make_model("resnet8+MobileNetV2", *device, {.classes = 7}); }),
                  "cannot be borrowed");
  expect_contains(error_of(Fault::usage, [&] { make_model("resnet8+resnet9", *device, {.classes = 7}); }),
                  "'resnet9' is unknown");
}

}  // namespace
}  // namespace retort
