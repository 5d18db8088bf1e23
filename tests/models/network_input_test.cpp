// What weights say of pictures and classes, and what is said where they do not.
#include "models/network_input.h"

#include "models/weights.h"
#include "tests/support/expect_error.h"

namespace retort::testing {
namespace {

Weights saying(const std::map<std::string, std::string>& metadata, int64_t classes = 0) {
  Weights weights;
  weights.source = weights.path = "w.safetensors";
  weights.file.metadata = metadata;
  weights.classes = classes;
  return weights;
}

TEST(NetworkInput, IsTheArchitecturesWhereTheFileIsSilent) {
  for (const auto& [name, size, resize] :
       {std::tuple{"resnet20", 32, 32}, {"resnet18_imagenet", 224, 256}, {"MobileNetV1", 224, 256}}) {
    const NetworkInput input = input_of(saying({}), name);
    EXPECT_EQ(input.size, size) << name;
    EXPECT_EQ(input.test_resize, resize) << name;
    EXPECT_TRUE(input.class_names.empty());
  }
  EXPECT_EQ(input_of(saying({{"size", "64"}}), "resnet20").test_resize, 64);
  EXPECT_EQ(input_of(saying({{"size", "192"}, {"test_resize", "232"}}), "MobileNetV1").test_resize, 232);
}

TEST(NetworkInput, ComesBackAsItWasPut) {
  const NetworkInput input{64, 72, {"a \"quoted\" name", "\xc3\xa9", ""}};
  std::map<std::string, std::string> metadata = {{"class_names", "[\"old\"]"}};
  put_input(input, metadata);
  const NetworkInput again = input_of(saying(metadata, 3), "resnet8");
  EXPECT_EQ(again.size, 64);
  EXPECT_EQ(again.test_resize, 72);
  EXPECT_EQ(again.class_names, input.class_names);
  EXPECT_TRUE(again.category_ids.empty());
  put_input({32, 32, {}, {-3, 7, 90}}, metadata);
  EXPECT_EQ(metadata.count("class_names"), 0u);
  EXPECT_EQ(input_of(saying(metadata, 3), "rcnn_tiny").category_ids, (std::vector<int64_t>{-3, 7, 90}));
  put_input({32, 32, {}}, metadata);
  EXPECT_EQ(metadata.count("category_ids"), 0u);
}

TEST(NetworkInput, RefusesWhatIsNone) {
  const auto refuses = [](const std::map<std::string, std::string>& metadata, const std::string& why) {
    expect_contains(error_of(Fault::input, [&] { input_of(saying(metadata, 2), "resnet8"); }), why);
  };
  refuses({{"size", "0"}}, "'size' is '0'");
  refuses({{"size", "1000000"}}, "8 to 4096");
  refuses({{"size", "x"}}, "'size' is 'x'");
  refuses({{"size", "64"}, {"test_resize", "32"}}, "'test_resize' is '32'");
  refuses({{"class_names", "[\"a\""}}, "no JSON array");
  refuses({{"class_names", "[\"a\", 3]"}}, "no JSON array");
  refuses({{"class_names", "{}"}}, "no JSON array");
  refuses({{"class_names", "[\"a\"]"}}, "1 strings");
  refuses({{"class_names", "[\"a\", \"b\\u0000\"]"}}, "a zero");
  refuses({{"category_ids", "[1, 2"}}, "no JSON array");
  refuses({{"category_ids", "[1, 2.5]"}}, "no JSON array of integers");
  refuses({{"category_ids", "[1, 9223372036854775808]"}}, "no JSON array of integers");
  refuses({{"category_ids", "[1]"}}, "1 integers");
  refuses({{"category_ids", "[2, 1]"}}, "does not ascend");
  refuses({{"category_ids", "[2, 2]"}}, "does not ascend");
}

TEST(NetworkInput, WhatTheUserSaysComesFirst) {
  Weights weights = saying({{"size", "224"}, {"test_resize", "232"}});
  set_input(weights.file.metadata, 0, 0);
  EXPECT_EQ(input_of(weights, "MobileNetV1").test_resize, 232);
  set_input(weights.file.metadata, 224, 0);
  EXPECT_EQ(input_of(weights, "MobileNetV1").test_resize, 232);
  set_input(weights.file.metadata, 0, 240);
  EXPECT_EQ(input_of(weights, "MobileNetV1").test_resize, 240);
  set_input(weights.file.metadata, 192, 0);
  EXPECT_EQ(input_of(weights, "MobileNetV1").size, 192);
  EXPECT_EQ(input_of(weights, "MobileNetV1").test_resize, 192);
}

TEST(NetworkInput, NotesAnotherOrderOfClasses) {
  EXPECT_EQ(other_classes_note("net", {"a", "b"}, {"a", "b"}), "");
  EXPECT_EQ(other_classes_note("net", {}, {"a", "b"}), "");
  expect_contains(other_classes_note("net", {"a", "b"}, {"b", "a"}),
                  "class 0 is 'b' in the images and 'a' for net");
}

}  // namespace
}  // namespace retort::testing
