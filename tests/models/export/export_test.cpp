// retort export: the C file compiles alone, without warnings, and gives the embeddable library's logits; the
// command writes what it says and refuses what it cannot.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/formats/npy.h"
#include "distill/evaluate/network_file.h"
#include "models/export/c_code.h"
#include "models/export/infer_file.h"
#include "models/export/onnx_model.h"
#include "models/network_input.h"
#include "models/weights.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/program.h"

namespace retort::testing {
namespace {

constexpr const char* driver = R"(
#include <stdio.h>
#include NET
static float work[NET_WORK_FLOATS], image[NET_HEIGHT * NET_WIDTH * NET_CHANNELS], logits[NET_CLASSES];
int main(void) {
  FILE *in = fopen("images", "rb"), *out = fopen("logits", "wb");
  if (!in || !out) return 1;
  while (fread(image, sizeof image, 1, in) == 1) {
    net_predict(image, logits, work);
    fwrite(logits, sizeof logits, 1, out);
  }
  return fclose(out);
}
)";

std::vector<std::string> c_compilers() {
  std::vector<std::string> found = {RETORT_C_COMPILER};
  for (const char* other : {"gcc", "clang"})
    if (std::system(text("command -v ", other, " >/dev/null 2>&1").c_str()) == 0) found.push_back(other);
  return found;
}

// What a C file promises, for a program that is linked to it.
std::string header_of(const CCode& code) {
  std::istringstream lines(code.text);
  std::string header = "void net_predict(const float *image, float *logits, float *work);\n";
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("#define NET_")) header += line + "\n";
  return header;
}

// The logits of the C file's network, compiled by `compiler`. The program that computes them includes it, or
// is linked to it, so that millions of weights are compiled once.
std::vector<float> compile_and_run(const CCode& code, const std::vector<float>& images,
                                   const std::string& compiler, bool linked = false) {
  const TempFolder folder;
  folder.write("net.c", code.text);
  folder.write("net.h", header_of(code));
  folder.write("main.c", driver);
  folder.write("images", {reinterpret_cast<const char*>(images.data()), images.size() * sizeof(float)});
  const std::string command =
      text("cd ", folder.path().string(), " && ", compiler,
           " -std=c11 -Os -ffreestanding -Wall -Wextra -Wmissing-prototypes -Werror -c net.c && ", compiler,
           " -std=c11 -O1 -Wall -Wextra -Werror main.c ",
           linked ? R"(-DNET='"net.h"' net.o)" : R"(-DNET='"net.c"')", " -o main && ./main");
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  const std::string written = content_of(folder / "logits");
  std::vector<float> logits(written.size() / sizeof(float));
  std::memcpy(logits.data(), written.data(), logits.size() * sizeof(float));
  return logits;
}

std::vector<float> waves(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(float(std::sin(0.37 * double(i))));
  return values;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  float scale = 0;
  for (const float e : expected) scale = std::max(scale, std::abs(e));
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], tolerance * double(scale)) << i;
}

TEST(ExportToC, EveryKindOfNodeGivesTheLibrarysLogits) {
  const InferenceGraph graph = graph_of_all_kinds();
  const std::vector<float> images = waves(3 * 8 * 8 * 3);
  for (const WeightType type : {WeightType::f32, WeightType::int8}) {
    const std::vector<float> expected = network_file_logits(infer_file(graph, {.weights = type}), images, 3);
    for (const std::string& compiler : c_compilers())
      expect_near(compile_and_run(c_code(graph, {.weights = type, .version = "1"}), images, compiler),
                  expected, 1e-5);
  }
}

TEST(ExportToC, AModelGivesItsLogits) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model("resnet8", *device, {.classes = 24});
  initialize(*model, *device, 1);
  const InferenceGraph graph = inference_graph(*model, *device);
  const std::vector<float> images = waves(2 * 32 * 32 * 3);
  const CCode code = c_code(graph, {.weights = WeightType::int8, .version = "1"});
  EXPECT_LT(code.flash, 90'000);   // 78,042 weights of 8 bits
  // Of the widest values, 16 channels of 32x32, at most three at a time; the image, the logits.
  EXPECT_LE(code.ram, 3 * 65536 + 12288 + 96);
  EXPECT_GT(code.ram, 2 * 65536 + 12288);
  expect_contains(code.text, " of work, 12288 of an image, 96 of logits; and");
  expect_contains(code.text, text("#define NET_RAM_BYTES ", code.ram));
  expect_near(compile_and_run(code, images, RETORT_C_COMPILER),
              network_file_logits(infer_file(graph, {.weights = WeightType::int8}), images, 2), 1e-4);
}

// At 224, as they are on ImageNet.
TEST(ExportToC, NetworksForPhotosGiveTheirLogits) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  for (const char* name : {"MobileNetV1", "resnet18_imagenet"}) {
    SCOPED_TRACE(name);
    const auto model = make_model(name, *device, {.classes = 1000});
    initialize(*model, *device, 1);
    const InferenceGraph graph = inference_graph(*model, *device);
    const std::vector<float> images = waves(224 * 224 * 3);
    const CCode code = c_code(graph, {.weights = WeightType::int8, .test_resize = 256, .version = "1"});
    EXPECT_NEAR(double(code.flash), name == std::string("MobileNetV1") ? 4.3e6 : 11.8e6, 0.1e6);
    expect_contains(code.text, "#define NET_TEST_RESIZE 256");
    expect_near(compile_and_run(code, images, RETORT_C_COMPILER, true),
                network_file_logits(infer_file(graph, {.weights = WeightType::int8}), images, 1), 1e-3);
  }
}

// As the library's retort_normalise; a file that does not know the numbers has no such function.
TEST(ExportToC, NormalisesPixels) {
  const InferenceGraph graph = graph_of_all_kinds();
  EXPECT_EQ(c_code(graph, {.version = "1"}).text.find("_normalise"), std::string::npos);
  const CCode code = c_code(graph, {.mean = {0.5f, 0.4f, 0.3f}, .std = {0.2f, 0.25f, 0.1f}, .version = "1"});
  const TempFolder folder;
  folder.write("net.c", code.text);
  folder.write("main.c", R"(
#include <stdio.h>
#include "net.c"
static unsigned char pixels[NET_HEIGHT * NET_WIDTH * NET_CHANNELS];
static float work[NET_WORK_FLOATS], image[NET_HEIGHT * NET_WIDTH * NET_CHANNELS], logits[NET_CLASSES];
int main(void) {
  for (unsigned i = 0; i < sizeof pixels; ++i) pixels[i] = (unsigned char)(i % 256);
  net_normalise(pixels, image);
  net_predict(image, logits, work);
  for (unsigned i = 0; i < sizeof pixels; ++i) printf("%.9g\n", (double)image[i]);
}
)");
  const std::string in_folder = "cd " + folder.path().string() + " && ";
  ASSERT_EQ(std::system((in_folder + RETORT_C_COMPILER +
                         " -std=c11 -Wall -Wextra -Wmissing-prototypes -Werror -c net.c && " +
                         RETORT_C_COMPILER + " -std=c11 -Wall -Wextra -Werror main.c -o main && ./main >out")
                            .c_str()),
            0);
  std::istringstream out(content_of(folder / "out"));
  const float mean[] = {0.5f, 0.4f, 0.3f}, deviation[] = {0.2f, 0.25f, 0.1f};
  float found = 0;
  int count = 0;
  for (; out >> found; ++count)
    ASSERT_NEAR(found, (float(count % 256) / 255 - mean[count % 3]) / deviation[count % 3], 1e-5) << count;
  EXPECT_EQ(count, 8 * 8 * 3);
}

TEST(ExportToC, RefusesMoreThanACompilerTakes) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model("resnet34_imagenet", *device, {.classes = 1000});
  const InferenceGraph graph = inference_graph(*model, *device);
  expect_contains(
      error_of(Fault::usage, [&] { c_code(graph, {.weights = WeightType::int8, .version = "1"}); }),
      "--to infer");
  EXPECT_GT(infer_file(graph, {.weights = WeightType::int8}).size(), size_t(21'000'000));
}

TEST(ExportToC, NamesClasses) {
  const InferenceGraph graph = graph_of_all_kinds();
  std::vector<std::string> names = {"a\\b",
                                    "\xc3\xa9\"?"
                                    "?=\n"};
  while (int64_t(names.size()) < graph.classes) names.push_back(text("class ", names.size()));
  const CCode code = c_code(graph, {.version = "1"});
  EXPECT_EQ(code.text.find("NET_CLASS_NAMES"), std::string::npos);
  const TempFolder folder;
  folder.write("net.c", c_code(graph, {.class_names = names, .version = "1"}).text);
  folder.write("main.c", R"(
#include <stdio.h>
#include "net.c"
static const char *const names[NET_CLASSES] = {NET_CLASS_NAMES};
int main(void) {
  for (int k = 0; k < NET_CLASSES; ++k) fwrite(names[k], 1, __builtin_strlen(names[k]) + 1, stdout);
  return 0;
}
)");
  ASSERT_EQ(std::system(text("cd ", folder.path().string(), " && ", RETORT_C_COMPILER,
                             " -std=c11 -Wall -Wextra -Werror main.c -o main && ./main > out")
                            .c_str()),
            0);
  std::string expected;
  for (const std::string& name : names) expected += name + '\0';
  EXPECT_EQ(content_of(folder / "out"), expected);
}

TEST(ExportToC, RefusesWhatIsNoIdentifier) {
  expect_fault(Fault::usage, "no C identifier",
               [] { c_code(graph_of_all_kinds(), {.name = "2nd", .version = "1"}); });
}

// A file of a model's first weights, as a run would write it.
std::filesystem::path write_weights(const TempFolder& folder) {
  const auto device = Device::open({.name = "portable", .threads = 1});
  const auto model = make_model("resnet8", *device, {.classes = 24});
  initialize(*model, *device, 1);
  auto metadata = weights_metadata(*model);
  metadata["mean"] = "0.5 0.4 0.3";
  metadata["std"] = "0.25 0.25 0.25";
  std::vector<std::string> names;
  for (int i = 0; i < 24; ++i) names.push_back(text("kind ", i));
  put_input({32, 40, names}, metadata);
  std::vector<TensorView> views;
  const std::vector<HostTensor> state = state_of(*model, *device);
  for (const HostTensor& tensor : state) views.push_back(tensor.view());
  write_safetensors(folder / "w.safetensors", metadata, views);
  return folder / "w.safetensors";
}

TEST(ExportCommand, WritesVerifiesAndCompares) {
  const TempFolder folder;
  const std::string weights = write_weights(folder).string();
  const Outcome infer = run({"export", weights, "--to", "infer", "--quantize", "int8", "-o", "net.retort",
                             "--verify", "--data", "synthetic:train=1,test=40", "--json"},
                            folder);
  ASSERT_EQ(infer.code, 0) << infer.err;
  const auto json = nlohmann::json::parse(infer.out);
  EXPECT_EQ(json["bytes"], content_of(folder / "net.retort").size());
  EXPECT_GT(json["largest_difference"], 0);
  EXPECT_EQ(json["accuracy"]["n"], 40);
  EXPECT_NEAR(json["accuracy"]["difference"],
              json["accuracy"]["top1"].get<double>() - json["accuracy"]["top1_f32"].get<double>(), 1e-9);
  const Outcome c = run({"export", weights, "--to", "c", "-o", "net.c", "--name", "tiny"}, folder);
  ASSERT_EQ(c.code, 0) << c.err;
  expect_contains(c.out, "RAM");
  expect_contains(content_of(folder / "net.c"),
                  "void tiny_predict(const float *image, float *logits, float *work)");
  expect_contains(content_of(folder / "net.c"), "0.5f, 0.4f, 0.3f");
  expect_contains(content_of(folder / "net.c"), "#define TINY_TEST_RESIZE 40");
  expect_contains(content_of(folder / "net.c"), "\"kind 23\"");
}

TEST(BenchCommand, TimesANetworkFile) {
  const TempFolder folder;
  const auto file = infer_file(graph_of_all_kinds(), {.weights = WeightType::int8});
  folder.write("net.retort", {reinterpret_cast<const char*>(file.data()), file.size()});
  const Outcome plain =
      run({"bench", "net.retort", "--seconds", "0", "--threads", "2", "--batch", "3"}, folder);
  ASSERT_EQ(plain.code, 0) << plain.err;
  for (const char* part : {"weights of 8 bits", "2 threads, batches of 3", "p50  ", "p99  ", "of 10 calls"})
    expect_contains(plain.out, part);
  const auto json =
      nlohmann::json::parse(run({"bench", "net.retort", "--seconds", "0.02", "--json"}, folder).out);
  EXPECT_EQ(json["file_bytes"], file.size());
  EXPECT_GT(json["memory_bytes"], 0);
  EXPECT_GE(json["calls"], 10);
  EXPECT_GT(json["p50_seconds"], 0.0);
  EXPECT_LE(json["p50_seconds"], json["p99_seconds"]);

  expect_contains(failure(2, {"bench"}, folder), "expected one FILE");
  expect_contains(failure(2, {"bench", "net.retort", "--batch", "2000"}, folder), "a batch of 2000");
  expect_contains(failure(3, {"bench", "nowhere"}, folder), "nowhere");
  folder.write("other", "neither");
  expect_contains(failure(3, {"bench", "other"}, folder), "retort export RUN --to infer");
  folder.write("cut.retort", {reinterpret_cast<const char*>(file.data()), file.size() - 9});
  expect_contains(failure(3, {"bench", "cut.retort"}, folder), "cut.retort: ");
}

// Whatever a network is exported to, predict knows what the weights' file says of pictures and classes.
TEST(ExportCommand, EveryFormKnowsPicturesAndClasses) {
  const TempFolder folder;
  const std::string weights = write_weights(folder).string(),
                    photo = data_folder() + "/photos/colour-444.jpg";
  const auto answer = [&](const std::string& file) {
    const Outcome outcome =
        run({"predict", "--weights", file, photo, "--json", "--logits", file + ".npy"}, folder);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const NpyArray logits = read_npy(folder / (file + ".npy"));
    return std::pair{
        nlohmann::json::parse(outcome.out)["predictions"][0]["top"][0]["name"].get<std::string>(),
        logits.reals()};
  };
  const auto [name, logits] = answer(weights);
  EXPECT_TRUE(name.starts_with("kind ")) << name;
  for (const std::string form : {"onnx", "safetensors", "infer"}) {
    SCOPED_TRACE(form);
    const Outcome written = run({"export", weights, "--to", form, "-o", "as." + form}, folder);
    ASSERT_EQ(written.code, 0) << written.err;
    const auto [own_name, own_logits] = answer("as." + form);
    EXPECT_EQ(own_name, name);
    ASSERT_EQ(own_logits.size(), logits.size());
    for (size_t i = 0; i < logits.size(); ++i) EXPECT_NEAR(own_logits[i], logits[i], 1e-4);
  }
  // Cut out of 40 pixels, not of 32: other logits.
  SafeTensors other = read_safetensors(weights);
  other.metadata.erase("test_resize");
  std::vector<TensorView> views;
  for (const HostTensor& tensor : other.tensors) views.push_back(tensor.view());
  write_safetensors(folder / "other.safetensors", other.metadata, views);
  EXPECT_NE(answer("other.safetensors").second, logits);
}

TEST(ExportCommand, WritesAndVerifiesOnnxAndSafetensors) {
  const TempFolder folder;
  const std::string weights = write_weights(folder).string();
  const Outcome onnx =
      run({"export", weights, "--to", "onnx", "-o", "net.onnx", "--verify", "--json"}, folder);
  ASSERT_EQ(onnx.code, 0) << onnx.err;
  const auto json = nlohmann::json::parse(onnx.out);
  EXPECT_EQ(json["bytes"], content_of(folder / "net.onnx").size());
  EXPECT_LT(json["largest_difference"], 1e-4);
  const OnnxModel read = parse_onnx(content_of(folder / "net.onnx"), "net.onnx");
  EXPECT_EQ(read.metadata.at("classes"), "24");
  EXPECT_EQ(read.metadata.at("mean"), "0.5 0.4 0.3");
  const Outcome plain = run({"export", weights, "--to", "safetensors", "-o", "s", "--verify"}, folder);
  ASSERT_EQ(plain.code, 0) << plain.err;
  expect_contains(plain.out, "verified");
  const SafeTensors before = read_safetensors(weights), after = read_safetensors(folder / "s");
  EXPECT_EQ(after.find("fc.weight")->data, before.find("fc.weight")->data);
  expect_contains(failure(2, {"export", weights, "--to", "onnx", "--quantize", "int8", "-o", "x"}, folder),
                  "f32 weights");
}

TEST(ExportCommand, RefusesWhatItCannot) {
  const TempFolder folder;
  const std::string weights = write_weights(folder).string();
  expect_contains(failure(2, {"export", weights, "--to", "ifner", "-o", "x"}, folder),
                  "did you mean 'infer'");
  expect_contains(failure(2, {"export", weights, "--to", "infer"}, folder), "--out");
  expect_contains(failure(2, {"export", weights, "-o", "x"}, folder), "--to");
  expect_contains(failure(2, {"export", "--to", "c", "-o", "x"}, folder), "weights are named");
  expect_contains(failure(2, {"export", weights, "--to", "c", "--quantize", "f16", "-o", "x"}, folder),
                  "float16");
  expect_contains(failure(2, {"export", weights, "--to", "c", "--quantize", "int4", "-o", "x"}, folder),
                  "int8");
  expect_contains(failure(3, {"export", "nothing", "--to", "c", "-o", "x"}, folder), "nothing");
  expect_contains(failure(4, {"export", weights, "--to", "infer", "-o", "no/such/folder/x"}, folder),
                  "no/such/folder");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

}  // namespace
}  // namespace retort::testing
