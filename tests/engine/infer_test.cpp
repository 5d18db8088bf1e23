// The embeddable library: its logits are the model's, in every option; what is no network file is refused.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "engine/infer/format.h"
#include "engine/infer/retort.h"
#include "models/export/infer_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

namespace retort::testing {
namespace {

struct Loaded {
  retort_net* net = nullptr;
  ~Loaded() { retort_free(net); }
};

std::vector<float> predict(const std::vector<std::byte>& file, const std::vector<float>& images, size_t count,
                           uint32_t threads = 1, uint32_t batch = 1) {
  retort_options options = {};
  options.threads = threads;
  options.batch = batch;
  Loaded loaded;
  EXPECT_EQ(retort_load(file.data(), file.size(), &options, &loaded.net), RETORT_OK);
  retort_info info;
  EXPECT_EQ(retort_get_info(loaded.net, &info), RETORT_OK);
  std::vector<float> logits(count * info.classes, NAN);
  const retort_status status = retort_predict(loaded.net, images.data(), count, logits.data());
  const bool finite = std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); });
  EXPECT_EQ(status, finite ? RETORT_OK : RETORT_NOT_FINITE) << retort_last_error(loaded.net);
  return logits;
}

constexpr int64_t image_count = 3;

// A model with weights, images, and its own logits for them.
struct Example {
  explicit Example(const std::string& name) : device(Device::open({.name = "portable", .threads = 1})) {
    model = make_model(name, *device, {.classes = 7});
    initialize(*model, *device, 3);
    const Array x = device->persistent({image_count, model->side, model->side, 3}, DType::f32);
    std::vector<double> pixels;
    for (int64_t i = 0; i < x.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
    write_values(*device, x, pixels);
    images.assign(pixels.begin(), pixels.end());
    graph = inference_graph(*model, *device);
    logits = read_values(*device, (*model)(Var(x), Pass{*device}));
  }
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> model;
  InferenceGraph graph;
  std::vector<float> images;
  std::vector<double> logits;
};

// The largest difference, as a part of the largest value.
double difference(const std::vector<float>& found, const std::vector<double>& expected) {
  double most = 0, scale = 0;
  EXPECT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    if (!(std::abs(found[i]) < 1e30)) return INFINITY;
    most = std::max(most, std::abs(double(found[i]) - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  return most / scale;
}

class Infer : public ::testing::TestWithParam<std::string> {};

TEST_P(Infer, GivesTheModelsLogits) {
  const Example example(GetParam());
  const std::vector<std::byte> file = infer_file(example.graph, {});
  const std::vector<float> one = predict(file, example.images, image_count);
  EXPECT_LT(difference(one, example.logits), 2e-5);
  EXPECT_EQ(predict(file, example.images, image_count, 2), one) << "two threads";
  EXPECT_EQ(predict(file, example.images, image_count, 2, 2), one) << "two images at a time";
  EXPECT_EQ(predict(file, example.images, image_count, 1, 8), one) << "room for more images than there are";
}

TEST_P(Infer, NanReachesTheLogits) {
  Example example(GetParam());
  if (GetParam().starts_with("vgg")) GTEST_SKIP() << "the largest of a window may be another";
  const size_t image = example.images.size() / image_count;
  example.images[image + image / 2] = NAN;
  const std::vector<float> logits = predict(infer_file(example.graph, {}), example.images, image_count);
  const size_t classes = logits.size() / image_count;
  for (size_t i = 0; i < logits.size(); ++i) EXPECT_EQ(std::isnan(logits[i]), i / classes == 1) << i;
}

INSTANTIATE_TEST_SUITE_P(, Infer,
                         ::testing::Values("resnet8", "resnet8x4", "wrn_16_1", "wrn_16_2", "vgg8",
                                           "MobileNetV2", "ShuffleV1", "ShuffleV2", "resnet18_imagenet",
                                           "MobileNetV1"),
                         [](const auto& tested) { return tested.param; });

TEST(InferWeights, ChannelsTooSmallForAScaleAreZeros) {
  const QuantizedWeights q = quantize({"c", Shape({2, 2}), {1e-44f, 0, 1, -2}});
  EXPECT_EQ(q.values[0], 0);
  EXPECT_EQ(q.values[1], 0);
  EXPECT_EQ(q.values[3], -127);
  EXPECT_TRUE(std::isfinite(q.scales[0]) && q.scales[0] > 0);
}

// One that works is never disturbed: who comes beside it is told so, and every answer that is given is right.
TEST(InferPredict, ANetworkInSeveralThreadsIsBusyOrRight) {
  const Example example("resnet8");
  const std::vector<std::byte> file = infer_file(example.graph, {});
  const std::vector<float> expected = predict(file, example.images, image_count);
  Loaded loaded;
  ASSERT_EQ(retort_load(file.data(), file.size(), nullptr, &loaded.net), RETORT_OK);
  std::atomic<int> right{0}, busy{0}, wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        std::vector<float> logits(expected.size());
        std::vector<uint32_t> classes(image_count);
        const retort_status status =
            retort_classify(loaded.net, example.images.data(), image_count, logits.data(), classes.data());
        if (status == RETORT_BUSY)
          ++busy;
        else
          ++(status == RETORT_OK && logits == expected ? right : wrong);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(right, 0);
  EXPECT_EQ(right + busy, 80);
}

TEST(InferLoad, RefusesNumbersThatAreNotFinite) {
  Example example("resnet8");
  for (const WeightType type : {WeightType::f32, WeightType::int8}) {
    InferenceGraph graph = example.graph;
    for (InferenceConstant& constant : graph.constants) {
      if (constant.name.ends_with(".bias")) constant.values[0] = INFINITY;
    }
    const std::vector<std::byte> file = infer_file(graph, {.weights = type});
    char message[200];
    const retort_options options = {1, 1, message, sizeof message};
    retort_net* net = nullptr;
    EXPECT_EQ(retort_load(file.data(), file.size(), &options, &net), RETORT_BAD_FILE);
    testing::expect_contains(message, "not finite");
    retort_info info;
    EXPECT_EQ(retort_inspect(file.data(), file.size(), &info), RETORT_BAD_FILE);
  }
}

TEST(InferNodes, OfEveryKindGiveTheInterpretersValues) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const InferenceGraph graph = graph_of_all_kinds();
  const Array x = device->persistent({image_count, 8, 8, 3}, DType::f32);
  std::vector<double> pixels;
  for (int64_t i = 0; i < x.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
  write_values(*device, x, pixels);
  const std::vector<double> expected = Interpreter(graph, *device, image_count).run(x);
  const std::vector<float> images(pixels.begin(), pixels.end());
  EXPECT_LT(difference(predict(infer_file(graph, {}), images, image_count), expected), 1e-6);
}

// Files of a released format stay readable: these were written once and are read on every processor. A
// missing one is written, for a new format's first time.
TEST(InferFormat, IsThatOfTheFilesBesideTheTests) {
  const InferenceGraph graph = graph_of_all_kinds();
  std::vector<float> image;
  for (int i = 0; i < 8 * 8 * 3; ++i) image.push_back(float(std::sin(0.37 * i)));
  const std::filesystem::path folder = std::filesystem::path(testing::data_folder()) / "networks";
  for (const auto& [type, name] :
       {std::pair{WeightType::f32, "f32"}, {WeightType::f16, "f16"}, {WeightType::int8, "int8"}}) {
    const std::vector<std::byte> file = infer_file(graph, {.weights = type});
    const auto path = folder / text(name, ".retort");
    const std::string content(reinterpret_cast<const char*>(file.data()), file.size());
    if (!std::filesystem::exists(path)) {
      std::filesystem::create_directories(folder);
      std::ofstream(path, std::ios::binary) << content;
      std::ofstream logits(folder / text(name, ".txt"));
      logits.precision(9);
      for (const float value : predict(file, image, 1)) logits << value << '\n';
      ADD_FAILURE() << path << " was missing and is now written";
    }
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE((std::ostringstream() << in.rdbuf()).str() == content) << path;
  }
}

TEST(InferWeights, InFewerBitsAreThoseOfTheRoundedGraph) {
  const Example example("resnet8");
  const std::vector<std::byte> full = infer_file(example.graph, {});
  const std::map<WeightType, std::pair<double, uint32_t>> expected = {{WeightType::f16, {2e-3, 16}},
                                                                      {WeightType::int8, {5e-2, 8}}};
  for (const auto& [type, limits] : expected) {
    const std::vector<std::byte> file = infer_file(example.graph, {.weights = type});
    retort_info info;
    ASSERT_EQ(retort_inspect(file.data(), file.size(), &info), RETORT_OK);
    EXPECT_EQ(info.weight_bits, limits.second);
    EXPECT_LT(file.size(), full.size() * (limits.second + 4) / 32);
    const std::vector<float> logits = predict(file, example.images, image_count);
    EXPECT_LT(difference(logits, example.logits), limits.first);
    const std::vector<float> rounded_first =
        predict(infer_file(rounded(example.graph, type), {}), example.images, image_count);
    EXPECT_EQ(logits, rounded_first);
  }
}

TEST(InferWeights, QuantisationClipsWhereThatHelps) {
  InferenceConstant weights{"w", {2, 100}, std::vector<float>(200, 0.1f)};
  for (size_t i = 0; i < 200; ++i) weights.values[i] = 0.1f * std::sin(float(i));
  weights.values[150] = 0.25f;  // far from the others of its channel
  const QuantizedWeights q = quantize(weights);
  EXPECT_LE(q.scales[0], 0.1f / 127);
  EXPECT_LE(q.scales[1], 0.25f / 127);
  for (size_t i = 0; i < 100; ++i)
    EXPECT_NEAR(weights.values[i], float(q.values[i]) * q.scales[0], 0.6 * double(q.scales[0]) + 1e-3);
  const QuantizedWeights zeros = quantize({"w", {1, 4}, std::vector<float>(4, 0.0f)});
  EXPECT_EQ(zeros.values, std::vector<int8_t>(4, 0));
}

TEST(InferLoad, TakesTheMemoryThatItSays) {
  const Example example("MobileNetV2");
  const std::vector<std::byte> file =
      infer_file(example.graph, {.mean = {0.5f, 0.4f, 0.3f}, .std = {0.2f, 0.2f, 0.2f}});
  size_t bytes = 0;
  retort_options options = {};
  options.threads = 2;
  ASSERT_EQ(retort_arena_size(file.data(), file.size(), &options, &bytes), RETORT_OK);
  // With margins around it, which stay as they are.
  std::vector<unsigned char> memory(bytes + 3 * 64, 0xa5);
  unsigned char* block = memory.data() + 64;
  block += (64 - reinterpret_cast<uintptr_t>(block) % 64) % 64;
  Loaded loaded;
  EXPECT_EQ(retort_load_into(file.data(), file.size(), &options, block, bytes - 1, &loaded.net),
            RETORT_NO_MEMORY);
  EXPECT_EQ(retort_load_into(file.data(), file.size(), &options, block + 1, bytes, &loaded.net),
            RETORT_BAD_ARGUMENT);
  EXPECT_EQ(loaded.net, nullptr);
  ASSERT_EQ(retort_load_into(file.data(), file.size(), &options, block, bytes, &loaded.net), RETORT_OK);
  EXPECT_LE(retort_memory(loaded.net), bytes);
  EXPECT_EQ(retort_threads(loaded.net), 2u);
  std::vector<float> logits(image_count * 7);
  std::vector<uint32_t> classes(image_count);
  ASSERT_EQ(retort_classify(loaded.net, example.images.data(), image_count, logits.data(), classes.data()),
            RETORT_OK);
  EXPECT_LT(difference(logits, example.logits), 2e-5);
  for (size_t i = 0; i < image_count; ++i) {
    const float* row = logits.data() + i * 7;
    EXPECT_EQ(classes[i], uint32_t(std::max_element(row, row + 7) - row));
  }
  for (const unsigned char* p = memory.data(); p < block; ++p) ASSERT_EQ(*p, 0xa5);
  for (const unsigned char* p = block + bytes; p < memory.data() + memory.size(); ++p) ASSERT_EQ(*p, 0xa5);

  std::vector<uint8_t> pixels(32 * 32 * 3, 51);
  std::vector<float> normalised(pixels.size());
  ASSERT_EQ(retort_normalise(loaded.net, pixels.data(), 1, normalised.data()), RETORT_OK);
  EXPECT_NEAR(normalised[0], (0.2 - 0.5) / 0.2, 1e-6);
  EXPECT_NEAR(normalised[2], (0.2 - 0.3) / 0.2, 1e-6);
  retort_info info;
  ASSERT_EQ(retort_get_info(loaded.net, &info), RETORT_OK);
  EXPECT_STREQ(info.model, "MobileNetV2");
  EXPECT_EQ(info.macs, uint64_t(example.graph.macs()));
  float probabilities[3] = {1000, 1001, 1000};
  retort_softmax(probabilities, 3, probabilities);
  EXPECT_NEAR(probabilities[1], 1 / (1 + 2 * std::exp(-1.0)), 1e-6);
}

// Names of classes and the side that pictures are resized to travel in the file; files from before have
// neither.
TEST(InferLoad, KnowsClassesAndPictures) {
  const Example example("resnet8");
  const std::vector<std::string> names = {"",  "apple", "a \"b\"\n",          "\xc3\xa9",
                                          "x", "y",     std::string(300, 'z')};
  const std::vector<std::byte> file = infer_file(example.graph, {.test_resize = 36, .class_names = names});
  size_t bytes = 0;
  ASSERT_EQ(retort_arena_size(file.data(), file.size(), nullptr, &bytes), RETORT_OK);
  Loaded loaded, plain;
  ASSERT_EQ(retort_load(file.data(), file.size(), nullptr, &loaded.net), RETORT_OK);
  EXPECT_LE(retort_memory(loaded.net), bytes);
  EXPECT_EQ(retort_test_resize(loaded.net), 36u);
  for (uint32_t k = 0; k < 7; ++k) EXPECT_STREQ(retort_class_name(loaded.net, k), names[k].c_str());
  EXPECT_EQ(retort_class_name(loaded.net, 7), nullptr);
  EXPECT_LT(difference(predict(file, example.images, image_count), example.logits), 2e-5);

  const std::vector<std::byte> old = infer_file(example.graph, {});
  ASSERT_EQ(retort_load(old.data(), old.size(), nullptr, &plain.net), RETORT_OK);
  EXPECT_EQ(retort_test_resize(plain.net), 0u);
  EXPECT_EQ(retort_class_name(plain.net, 0), nullptr);
  EXPECT_EQ(retort_test_resize(nullptr), 0u);
  EXPECT_EQ(retort_class_name(nullptr, 0), nullptr);

  const auto refused = [&](size_t at, uint32_t value, const std::string& why) {
    std::vector<std::byte> damaged = file;
    for (size_t b = 0; b < 4; ++b) damaged[at + b] = std::byte(value >> 8 * b);
    const auto* data = reinterpret_cast<const uint8_t*>(damaged.data());
    const uint32_t crc = infer::crc32(data + infer::at_size, damaged.size() - infer::at_size);
    for (size_t b = 0; b < 4; ++b) damaged[infer::at_crc + b] = std::byte(crc >> 8 * b);
    char message[200] = "";
    const retort_options options = {0, 0, message, sizeof message};
    retort_net* none = nullptr;
    EXPECT_EQ(retort_load(damaged.data(), damaged.size(), &options, &none), RETORT_BAD_FILE)
        << at << ' ' << value;
    retort_free(none);
    expect_contains(message, why);
  };
  refused(infer::at_resize, 31, "resized to 31");
  refused(infer::at_names, uint32_t(file.size()), "names of the classes");
  refused(infer::at_names, 3, "names of the classes");
  refused(infer::at_names + 4, uint32_t(file.size() - 2), "names of the classes");
  refused(infer::at_names + 8, 1, "names of the classes");
}

// Of 8192 tensors in one place all were looked through.
TEST(InferLoad, TensorsMayNotOverlap) {
  const Example example("resnet8");
  const InferenceGraph& graph = example.graph;
  std::vector<std::byte> file = infer_file(graph, {});
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t b = 0; b < 4; ++b) file[at + b] = std::byte(value >> 8 * b);
  };
  const size_t tables = infer::file_header + graph.values.size() * infer::value_bytes +
                        graph.nodes.size() * infer::node_bytes,
               data = tables + graph.constants.size() * infer::tensor_bytes;
  size_t largest = 0;
  for (size_t i = 0; i < graph.constants.size(); ++i) {
    largest = std::max(largest, 4 * graph.constants[i].values.size());
    put(tables + i * infer::tensor_bytes + 24, uint32_t(data));
  }
  file.resize(data + largest);
  put(infer::at_size, uint32_t(file.size()));
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
  put(infer::at_crc, infer::crc32(bytes + infer::at_size, file.size() - infer::at_size));
  char message[100];
  const retort_options options = {0, 0, message, sizeof message};
  retort_net* net = nullptr;
  EXPECT_EQ(retort_load(file.data(), file.size(), &options, &net), RETORT_BAD_FILE);
  expect_contains(message, "tensors that overlap");
}

TEST(InferLoad, ReadsFilesAndNamesWhatIsWrong) {
  const TempFolder folder;
  const Example example("resnet8");
  const std::vector<std::byte> file = infer_file(example.graph, {});
  const auto path = folder.write("net.retort", {reinterpret_cast<const char*>(file.data()), file.size()});
  char message[100];
  retort_options options = {0, 0, message, sizeof message};
  Loaded loaded;
  ASSERT_EQ(retort_load_file(path.c_str(), &options, &loaded.net), RETORT_OK);
  EXPECT_STREQ(message, "");
  EXPECT_EQ(retort_predict(loaded.net, nullptr, 1, nullptr), RETORT_BAD_ARGUMENT);
  EXPECT_STREQ(retort_last_error(loaded.net), "predict: images and logits may not be null");
  std::vector<uint8_t> pixels(3 * 32 * 32);
  std::vector<float> to(pixels.size());
  EXPECT_EQ(retort_normalise(loaded.net, pixels.data(), 1, to.data()), RETORT_BAD_FILE);

  retort_net* none = loaded.net;
  EXPECT_EQ(retort_load_file((folder / "missing").c_str(), &options, &none), RETORT_NO_FILE);
  EXPECT_EQ(none, nullptr);
  expect_contains(message, "missing");
  EXPECT_EQ(retort_load_file(folder.path().c_str(), &options, &none), RETORT_NO_FILE);
  EXPECT_EQ(retort_load_file(folder.write("empty", "").c_str(), &options, &none), RETORT_BAD_FILE);
  // Nobody writes into the pipe: whoever waited for that would be ended by the alarm.
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  ::alarm(20);
  EXPECT_EQ(retort_load_file((folder / "pipe").c_str(), &options, &none), RETORT_NO_FILE);
  ::alarm(0);
  expect_contains(message, "pipe");
  EXPECT_EQ(retort_load(nullptr, 0, nullptr, &none), RETORT_BAD_ARGUMENT);
  EXPECT_EQ(retort_load(file.data(), file.size(), nullptr, nullptr), RETORT_BAD_ARGUMENT);
  options.threads = 65;
  EXPECT_EQ(retort_load(file.data(), file.size(), &options, &none), RETORT_BAD_ARGUMENT);
  options.threads = 1;
  std::vector<std::byte> newer = file;
  newer[infer::at_version] = std::byte(2);
  EXPECT_EQ(retort_load(newer.data(), newer.size(), &options, &none), RETORT_NEWER_FILE);
  expect_contains(message, "format version 2");
  EXPECT_EQ(retort_load(file.data(), file.size() - 1, &options, &none), RETORT_BAD_FILE);
  newer = file;
  newer.back() ^= std::byte(1);
  EXPECT_EQ(retort_load(newer.data(), newer.size(), &options, &none), RETORT_BAD_FILE);
  expect_contains(message, "damaged");
}

TEST(InferLoad, TheHeadersVersionIsTheProjects) {
  EXPECT_STREQ(retort_version(), RETORT_PROJECT_VERSION);
  EXPECT_EQ(retort_version_number(),
            uint32_t(RETORT_VERSION_MINOR * 100 + RETORT_VERSION_MAJOR * 10000 + RETORT_VERSION_PATCH));
}

// Thousands of damaged files whose checksum is made right again: a status or a network, and nothing worse.
TEST(InferLoad, SurvivesAnyBytes) {
  const InferenceGraph graph = graph_of_all_kinds();
  const std::vector<std::byte> original =
      infer_file(graph, {.weights = WeightType::int8,
                         .test_resize = 9,
                         .class_names = std::vector<std::string>(size_t(graph.classes), "name")});
  const size_t tables = infer::file_header + graph.values.size() * infer::value_bytes +
                        graph.nodes.size() * infer::node_bytes + graph.constants.size() * infer::tensor_bytes;
  uint64_t state = 1;
  const auto random = [&](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int refused = 0, loaded_count = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> file = original;
    for (uint64_t k = 0; k <= random(3); ++k) {
      const size_t at = infer::at_size + random(tables - infer::at_size);
      const uint64_t kind = random(4);
      if (kind == 0) file[at] = std::byte(random(256));
      if (kind == 1) file[at] ^= std::byte(1 << random(8));
      if (kind == 2) std::memset(file.data() + at / 4 * 4, 0xff, 4);
      if (kind == 3) std::memcpy(file.data() + at / 4 * 4, original.data() + random(tables - 4) / 4 * 4, 4);
    }
    if (random(8) == 0) file.resize(random(file.size()));
    const auto put = [&](size_t at, uint32_t value) {
      for (size_t b = 0; b < 4; ++b)
        if (at + b < file.size()) file[at + b] = std::byte(value >> 8 * b);
    };
    put(infer::at_size, uint32_t(file.size()));
    put(infer::at_size + 4, 0);
    if (file.size() > infer::at_size) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
      put(infer::at_crc, infer::crc32(bytes + infer::at_size, file.size() - infer::at_size));
    }
    size_t arena = 0;
    const retort_status status = retort_arena_size(file.data(), file.size(), nullptr, &arena);
    if (status != RETORT_OK) {
      ++refused;
      continue;
    }
    if (arena > size_t(64) << 20) continue;
    Loaded loaded;
    ASSERT_EQ(retort_load(file.data(), file.size(), nullptr, &loaded.net), RETORT_OK);
    retort_info info;
    retort_get_info(loaded.net, &info);
    const size_t elements = size_t(info.height) * info.width * info.channels;
    if (info.macs < 10'000'000 && elements < 1'000'000) {
      const std::vector<float> image(elements, 0.5f);
      std::vector<float> logits(info.classes);
      EXPECT_EQ(retort_predict(loaded.net, image.data(), 1, logits.data()), RETORT_OK);
      ++loaded_count;
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(loaded_count, 100);
}

}  // namespace
}  // namespace retort::testing
