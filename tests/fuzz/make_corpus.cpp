// Writes the corpus that fuzzing begins with: small files by our own writers. retort_fuzz_corpus FOLDER DATA,
// FOLDER being tests/fuzz/corpus and DATA tests/data.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "datasets/formats/npy.h"
#include "datasets/readers/listing_cache.h"
#include "datasets/readers/pack.h"
#include "distill/methods/registry.h"
#include "distill/report/evaluation_cache.h"
#include "distill/report/report.h"
#include "distill/run/counters.h"
#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/settings/setting_keys.h"
#include "distill/settings/settings.h"
#include "distill/study/collect.h"
#include "engine/base/file.h"
#include "engine/cpu/conv_tuning.h"
#include "layers/formats/safetensors.h"
#include "models/export/onnx_model.h"
#include "tests/fuzz/target.h"
#include "tests/support/fake_runs.h"
#include "tests/support/numpy_writer.h"

namespace retort::fuzz {
namespace {

namespace fs = std::filesystem;
using testing::little;

fs::path corpus, data, scratch;

void add(const std::string& target, const std::string& name, const std::string& content) {
  fs::create_directories(corpus / target);
  std::ofstream(corpus / target / name, std::ios::binary) << content;
}

// A file that `write` makes at the path it is given, behind `before`.
template <class Write>
void add_written(const std::string& target, const std::string& name, const std::string& before, Write write) {
  const fs::path file = scratch / "written";
  fs::remove(file);
  write(file);
  add(target, name, before + read_text_file(file));
}

HostTensor tensor(const std::string& name, std::vector<int64_t> shape, size_t values) {
  std::vector<float> numbers(values);
  for (size_t i = 0; i < values; ++i) numbers[i] = float(i) / 4;
  const auto bytes = std::as_bytes(std::span(numbers));
  return {name, DType::f32, std::move(shape), {bytes.begin(), bytes.end()}};
}

void weights() {
  const std::vector<HostTensor> tensors = {tensor("conv.weight", {2, 3, 1, 1}, 6), tensor("fc.bias", {4}, 4),
                                           tensor("empty", {0, 3}, 0)};
  std::vector<TensorView> views;
  for (const HostTensor& t : tensors) views.push_back(t.view());
  add_written("safetensors", "three", "", [&](const fs::path& file) {
    write_safetensors(file, {{"architecture", "resnet8"}}, views);
  });
  add_written("safetensors", "none", "", [&](const fs::path& file) { write_safetensors(file, {}, {}); });
  const std::string plain = R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})";
  add("safetensors", "without_hashes", little(uint64_t(plain.size())) + plain + std::string(8, '\1'));

  add("pickle_stream", "three", testing::checkpoint_of({tensors[0], tensors[1]}, true));
  const std::string zip = testing::checkpoint_of({tensors[0], tensors[1]}, false);
  add("zip", "archive", '\0' + zip);
  add("zip", "archive64", '\0' + testing::checkpoint_zip("N", {{"0", "1234"}}, "little", true));
  namespace p = testing::pickle;
  const std::string one =
      p::tensor(p::storage("FloatStorage", "0", p::integer(24)), 0, {2, 3, 4}, {12, 4, 1});
  const std::string other = p::tensor(p::storage("DoubleStorage", "1", p::integer(4)), 1, {2}, {2});
  add("zip", "pickle",
      '\1' + p::whole(p::dict({{"state_dict", p::dict({{"module.a", one}, {"b", other}})},
                               {"epoch", p::integer(3)},
                               {"none", "N"}})));
  for (const auto& entry : fs::directory_iterator(data / "pytorch")) {
    const std::string name = entry.path().filename().string(), content = read_text_file(entry.path());
    name.find("zip") != name.npos ? add("zip", name, '\0' + content) : add("pickle_stream", name, content);
  }
  for (const auto& entry : fs::directory_iterator(data / "networks"))
    if (entry.path().extension() == ".retort")
      add("c_library", entry.path().filename().string(), read_text_file(entry.path()));
}

void pictures() {
  for (const auto& entry : fs::directory_iterator(data / "images")) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".jpg")) add("jpeg", name, read_text_file(entry.path()));
    if (name.ends_with(".png")) add("png", name, '\0' + read_text_file(entry.path()));
  }
  // Rows of every colour type: grey, RGB, palette, grey and RGB with alpha; 8 bits, and 1 and 16.
  for (const auto& [name, bits, type, row] : {std::tuple{"grey", 8, 0, 4},
                                              {"rgb", 8, 2, 12},
                                              {"grey_alpha", 8, 4, 8},
                                              {"rgba", 8, 6, 16},
                                              {"bits", 1, 0, 1},
                                              {"deep", 16, 2, 24}}) {
    std::string file = std::string("\1\0\0\0\4\0\0\0\3", 9) + char(bits) + char(type) + std::string(3, '\0');
    for (int filter = 0; filter < 3; ++filter) file += char(filter) + std::string(size_t(row), '\7');
    add("png", std::string("rows_") + name, file);
  }
}

void arrays() {
  const std::vector<float> f(6, 1.5f);
  const std::vector<int64_t> i(3, 7);
  const std::vector<uint8_t> u(16, 3);
  add_written("npy", "f4", "", [&](const fs::path& file) { write_npy<float>(file, {2, 3}, f); });
  add_written("npy", "i8", "", [&](const fs::path& file) { write_npy<int64_t>(file, {3}, i); });
  add_written("npy", "u1", "", [&](const fs::path& file) { write_npy<uint8_t>(file, {2, 2, 2, 2}, u); });
  std::string names;
  for (int c = 0; c < 100; ++c) names += "class " + std::to_string(c) + '\n';
  add("cifar", "one_row", little(uint16_t{3074}) + '\1' + '\2' + std::string(3072, '\5') + names);
  add("cifar", "bad_label", little(uint16_t{2}) + "\x7f\x7f" + names);
}

// Of photos and what labels them, see label_file_target.cpp and photo_folder_target.cpp.
void photo_folders() {
  const std::string v1 = "v1.jpg 1\nv 2.jpg 0\n";
  add("label_file", "lines", '\0' + v1 + "v3\n");
  add("label_file", "numbers", std::string(1, '\0') + "490\n361\n");
  add("label_file", "solution", "\1ImageId,PredictionString\nval_1,n01 1 2 3 4 n01 5 6 7 8 \n");
  add("label_file", "tabs", "\2val_0.JPEG\tn03444034\t0\t32\t44\t62\n");
  add("label_file", "numbered",
      "\3"
      "2 b c.jpg\n1 a.jpg\n");
  const FolderListing listing{.tiny_imagenet = true,
                              .class_names = {"a", "b c"},
                              .train = {{"train/a/1.jpg", 0, 11}, {"train/b c/2.jpg", 1, 0}},
                              .test = {{"val/3.jpg", 1, 7}},
                              .stamps = {{"", 5}, {"train", -9}}};
  add("label_file", "listing", '\4' + listing_text(listing));
  const PackIndex index{"photos", listing, {11, 7}, {{0, 0, "0123456789abcdef"}, {0, 11, ""}}, {{1, 0, "f"}}};
  add("label_file", "index", '\5' + index_text(index));
  for (const char* name : {"grey.jpg", "one-pixel.jpg", "png-inside.JPEG", "truncated.jpg"})
    add("photo_folder", name, char(v1.size()) + v1 + read_text_file(data / "photos" / name));
  for (const char* name : {"colour-420.jpg", "progressive-420.jpg"})
    add("jpeg", name, read_text_file(data / "photos" / name));
  const fs::path python = data / "python_cifar" / "cifar-100-python";
  for (const char* name : {"train", "test"}) {
    const std::string rows = read_text_file(python / name);
    add("cifar_pickle", name, little(uint16_t(rows.size())) + rows + read_text_file(python / "meta"));
  }
}

// Boxes, see coco_target.cpp: what is not read stands among it.
void boxes() {
  const std::string images = R"("images":[{"id":7,"file_name":"b.jpg","height":6,"width":8},{"id":1}])";
  const std::string categories = R"("categories":[{"id":1,"name":"disc","supercategory":"x"},{"id":3}])";
  const std::string first =
      R"({"id":1,"image_id":7,"category_id":3,"bbox":[1,2,3.5,4],"area":9.5,"iscrowd":0,"segmentation":[[1,2]]})";
  const std::string list = R"("annotations":[)" + first;
  const std::string rest = "," + images + "," + categories + "}";
  add("coco", "annotations",
      "\2{\"info\":{\"year\":[2017]}," + list +
          R"(,{"id":2,"image_id":1,"category_id":1,"bbox":[0,0,0,0]}])" + rest);
  add("coco", "not_finite", '\2' + ("{" + list + R"(,{"id":2,"bbox":[NaN,-Infinity,1e400,0]}])" + rest));
  add("coco", "results",
      "\1[{\"image_id\":7,\"category_id\":1,\"bbox\":[1,2,3,4],\"score\":0.5},"
      "{\"image_id\":2,\"category_id\":99,\"bbox\":[0,0,0,0],\"score\":-1e-3}]");
  add("coco", "results_not_finite",
      "\1[{\"image_id\":7,\"category_id\":1,\"bbox\":[1,2,3,4],\"score\":NaN}]");
}

// As many names as tell whose they are, of small arrays.
void detectors() {
  const auto of = [](const std::vector<std::pair<std::string, std::vector<int64_t>>>& names) {
    std::vector<HostTensor> all;
    for (const auto& [name, shape] : names) {
      int64_t count = 1;
      for (const int64_t extent : shape) count *= extent;
      all.push_back({name, DType::f32, shape, std::vector<std::byte>(size_t(count) * 4)});
    }
    return testing::pickle::arrays_of(all);
  };
  using testing::pickle::whole;
  add("detector_pickle", "detectron2",
      whole(
          testing::pickle::dict({{"model", of({{"teacher.backbone.bottom_up.stem.conv1.weight", {2, 3, 1, 1}},
                                               {"backbone.bottom_up.features.0.0.weight", {2, 3, 1, 1}},
                                               {"backbone.bottom_up.features.1.conv.1.weight", {2}},
                                               {"roi_heads.box_head.fc1.weight", {1, 49}},
                                               {"roi_heads.box_predictor.cls_score.bias", {3}},
                                               {"pixel_mean", {3, 1, 1}}})}})));
  add("detector_pickle", "torchvision",
      whole(of({{"backbone.body.conv1.weight", {2, 3, 1, 1}},
                {"backbone.body.layer1.0.downsample.1.weight", {2}},
                {"backbone.fpn.inner_blocks.0.0.bias", {2}},
                {"rpn.head.conv.0.0.bias", {2}},
                {"roi_heads.box_predictor.cls_score.bias", {3}},
                {"roi_heads.box_predictor.bbox_pred.bias", {12}}})));
  add("detector_pickle", "msra",
      whole(of({{"conv1_w", {2, 3, 1, 1}}, {"res_conv1_bn_s", {2}}, {"res2_0_branch2a_w", {2, 2, 1, 1}}})));
  add("detector_pickle", "classifier",
      whole(of({{"features.0.0.weight", {2, 3, 1, 1}},
                {"features.1.conv.0.0.weight", {2, 1, 1, 1}},
                {"features.18.0.weight", {2}}})));
}

void texts() {
  for (const char* method : {"pcd", "kd", "crd", "ce"}) {
    RunSettings settings;
    settings.command = "distill";
    settings.model = "resnet8";
    settings.method = method_settings(method);
    settings.schedule.milestones = std::vector<int>{2, 5};
    add("toml", std::string("settings_") + method, '\0' + settings_toml(settings));
  }
  add("toml", "study",
      "\1title = \"T\"\nseeds = 2\n[settings]\nepochs = 2\n[settings.data]\nspec = \"synthetic\"\n"
      "[teacher]\nmodel = \"resnet14\"\n[student]\nmodel = \"resnet8\"\n[[methods]]\nname = \"kd\"\n"
      "[[methods]]\nname = \"pcd\"\nlabel = \"pcd 2\"\nstages = 2\n");
  add("toml", "grid",
      "\1title = \"T\"\n[[pairs]]\nteacher = \"resnet14\"\nstudent = \"resnet8\"\nname = \"a\"\n"
      "settings = {optimizer.lr = 0.1}\n[[variants]]\nlabel = \"v\"\nepochs = 3\n"
      "[[methods]]\nname = \"ce\"\n");
  add("toml", "kinds",
      std::string("\0a = 1979-05-27T07:32:00Z\nb = [1, 2.5, 0x1f, inf]\nc = '''x\ny'''\n", 62));
  add("yaml", "kd",
      "EXPERIMENT:\n  NAME: \"\"\n  TAG: \"kd,res56,res20\"\n  PROJECT: \"cifar100_baselines\"\nDISTILLER:\n"
      "  TYPE: \"KD\"\n  TEACHER: \"resnet56\"\n  STUDENT: \"resnet20\"\nSOLVER:\n  BATCH_SIZE: 64\n  "
      "EPOCHS: 240\n"
      "  LR: 0.05\n  LR_DECAY_STAGES: [150, 180, 210]\n  LR_DECAY_RATE: 0.1\n  WEIGHT_DECAY: 0.0005\n"
      "  MOMENTUM: 0.9\n  TYPE: \"SGD\"\nKD:\n  TEMPERATURE: 4\n  LOSS:\n    CE_WEIGHT: 0.1\n    KD_WEIGHT: "
      "0.9\n");
  add("yaml", "crd",
      "DISTILLER: {TYPE: CRD, TEACHER: resnet32x4, STUDENT: resnet8x4}\nCRD:\n  MODE: exact\n  FEAT:\n    "
      "DIM: 128\n"
      "    STUDENT_DIM: 256\n  NCE:\n    K: 16384\n    TEMPERATURE: 0.07\n");
}

void records() {
  add_written("records", "metrics", std::string(1, '\0'), [](const fs::path& file) {
    MetricsCsv csv(file, classification_metrics(), {"ce", "kd"}, 1);
    csv.append({1, .05, 3.1, 10, valued(classification_metrics(), {9, 40, 3.2}), 1.5, {1.1, 2}});
    csv.append({2, .005, 2.9, 12, valued(classification_metrics(), {11, 42, 3.0}), 1.5, {1.0, 1.9}});
  });
  add_written("records", "summary", "\1", [](const fs::path& file) {
    Summary s;
    s.status = "finished";
    s.command = "train";
    s.model = "resnet8";
    s.method = "ce";
    s.data = "synthetic";
    s.best = s.last = EpochResult{2, valued(classification_metrics(), {11, 42, 3})};
    s.epochs = s.epochs_done = 2;
    s.best_by = "test";
    s.weights_hash = "0123456789abcdef";
    write_summary(file, s);
  });
  add_written("records", "environment", "\2", [](const fs::path& file) {
    Environment e = this_environment();
    e.compiler = e.system = e.host = e.started = "x";
    e.data_hash = "0123456789abcdef";
    write_environment(file, e, false);
  });
  for (const char kind : {'\0', '\1', '\2', '\3'})
    add("lock", "kind_" + std::to_string(int(kind)), kind + std::string("retort run, pid       4711\n"));

  Counters counters;
  counters.epoch = 3;
  counters.batch = 2;
  counters.seconds = 1.5;
  counters.best_score = 11;
  counters.best = counters.last = EpochResult{2, valued(classification_metrics(), {11, 42, 3})};
  counters.totals = {4, 2, 6, {1, 2, 3}};
  add("counters", "inside", counters_text(counters));
  add("counters", "begin", counters_text(Counters{}));
  counters.best = counters.last = EpochResult{2, valued(detection_metrics(), {11, 42, -1})};
  add("counters", "detector", counters_text(counters));

  add_written("report_cache", "all", "", [](const fs::path& file) {
    EvaluationCache cache(file);
    cache.put_names("names", {"a", "b", "c"});
    cache.put_accuracy("accuracy", {{4, 4, 4}, {1, 2, 3}});
    cache.put_numbers("confidence", {.5, .25, .25});
    cache.put_chosen("chosen", {ChosenImage{"r", 4, 1, {1, 2, 3}, {3, 2, 1}, {}, 0}});
    cache.write();
  });
  add_written("report_cache", "judged", "", [](const fs::path& file) {
    EvaluationCache cache(file);
    const std::vector<float> logits = {1, 2, 0, 3, 1, 0};
    cache.put_judgement("judged", judge(logits, std::vector<int32_t>{0, 0}, 3));
    cache.put_numbers("AP", {-1, .25, 1});
    cache.write();
  });
  RunSettings settings;
  settings.model = "resnet8";
  const std::string lines = settings_toml(settings);
  for (const char kind : {'\0', '\1'})
    add("seeds", "seeds_" + std::to_string(int(kind)), kind + ("seeds = 3\n" + lines));
  for (const char kind : {'\2', '\3'}) add("seeds", "config_" + std::to_string(int(kind)), kind + lines);

  const std::string header(8, '\0');
  std::string rows;
  for (const uint32_t slot : {5u, 161u, 200u})
    rows += header + little(slot) + std::string(4, '\0') + std::string(12, '\2') + std::string(4, '\0');
  std::string index;
  for (const uint16_t slot : {5, 161, 200, 7}) index += little(slot) + little(uint32_t(1 + index.size() / 6));
  add("store_index", "three", '\4' + index + rows);

  ConvTuning tuning;
  ConvProblem problem{};
  problem.images = 2;
  problem.channels = problem.outputs = 8;
  tuning.open("AVX2, 2 threads");
  tuning.add(problem, ConvAlgorithm::winograd, "1.5 ms, direct 2 ms");
  problem.stride = 2;
  problem.pass = ConvPass::weight_gradient;
  tuning.add(problem, ConvAlgorithm::direct, "1 ms");
  add("tuning_record", "two", tuning.record());
}

// A published study of classifiers, one of detectors, and one of a version that wrote neither hash nor
// settings.
void reports() {
  using Json = nlohmann::ordered_json;
  testing::FakeRuns runs;
  for (const char* method : {"kd", "pcd"})
    for (const uint64_t seed : {1, 2})
      runs.add(
          text(method, "/seed-", seed), testing::FakeRuns::settings(method),
          {.best = 50, .last = double(48 + seed), .seed = seed, .teacher_hash = "aa", .data_hash = "bb"});
  Json json = Json::parse(report_json({.data = collect_results({runs.folder()}), .evaluations = {}}));
  Json& pair = json["pairs"][0];  // the target makes the hash right
  pair["classes"] = {{"names", {"disc", "ring"}},
                     {"teacher_confidence", {.5, 1}},
                     {"over_kd", {{"pcd", {{"gain", {-2.5, 3}}}}}}};
  add("published_report", "classifiers", json.dump());
  std::string detectors = json.dump();
  for (size_t at; (at = detectors.find("\"top1\"")) != detectors.npos;) detectors.replace(at, 6, "\"AP\"");
  add("published_report", "detectors", detectors);
  for (const char* key : {"format", "xxh3"}) json.erase(key);
  pair.erase("data_hash");
  for (Json& row : pair["rows"]) row.erase("settings");
  add("published_report", "without_settings", json.dump());
}

// A network of one kind of node behind another, from 3 x 4 x 4 to anything.
void onnx(const std::string& name, std::vector<OnnxNode> nodes) {
  OnnxModel model;
  model.name = name;
  model.input = {"images", "", {3, 4, 4}};
  model.output = {nodes.back().outputs[0], "", {3}};
  model.initializers = {{"conv", {2, 3, 3, 3}, std::vector<float>(54, .5f)},
                        {"two", {2}, std::vector<float>(2, 1.f)},
                        {"channel", {3, 1, 1}, std::vector<float>(3, 2.f)},
                        {"w", {3, 3}, std::vector<float>(9, .5f)},
                        {"b", {3}, std::vector<float>(3, 1.f)},
                        {"flat", {2}, std::vector<int64_t>{0, 3}},
                        {"groups", {5}, std::vector<int64_t>{0, 3, 1, 4, 4}},
                        {"start", {1}, std::vector<int64_t>{1}},
                        {"end", {1}, std::vector<int64_t>{3}},
                        {"pads", {8}, std::vector<int64_t>{0, 1, 0, 0, 0, 2, 0, 0}}};
  model.nodes = std::move(nodes);
  add("onnx", name, onnx_file(model));
}

void networks() {
  using Ints = std::vector<int64_t>;
  const std::map<std::string, Ints> window = {
      {"kernel_shape", {3, 3}}, {"strides", {2, 2}}, {"pads", {1, 1, 1, 1}}, {"dilations", {1, 1}}};
  onnx("conv", {{"Conv", "c", {"images", "conv", "two"}, {"y"}, window, {{"group", 1}}},
                {"Relu", "r", {"y"}, {"z"}, {}, {}}});
  onnx("max", {{"MaxPool", "p", {"images"}, {"y"}, window, {}}});
  onnx("average", {{"AveragePool", "p", {"images"}, {"y"}, window, {{"count_include_pad", 1}}}});
  onnx("linear", {{"GlobalAveragePool", "pool", {"images"}, {"a"}, {}, {}},
                  {"Reshape", "flat", {"a", "flat"}, {"f"}, {}, {}},
                  {"Gemm", "fc", {"f", "w", "b"}, {"logits"}, {}, {{"transB", 1}}}});
  onnx("flatten", {{"Add", "a", {"images", "channel"}, {"x"}, {}, {}},
                   {"Mul", "m", {"x", "channel"}, {"y"}, {}, {}},
                   {"Flatten", "f", {"y"}, {"z"}, {}, {{"axis", 1}}}});
  onnx("shuffle", {{"Reshape", "r", {"images", "groups"}, {"x"}, {}, {}},
                   {"Transpose", "t", {"x"}, {"y"}, {{"perm", {0, 2, 1, 3, 4}}}, {}}});
  onnx("slice", {{"Slice", "s", {"images", "start", "end", "start"}, {"x"}, {}, {}},
                 {"Pad", "p", {"x", "pads"}, {"y"}, {}, {}},
                 {"Concat", "c", {"images", "y"}, {"z"}, {}, {{"axis", 1}}}});
}

}  // namespace
}  // namespace retort::fuzz

int main(int count, char** arguments) {
  using namespace retort::fuzz;
  if (count != 3) {
    std::fputs("retort_fuzz_corpus FOLDER DATA\n", stderr);
    return 2;
  }
  corpus = arguments[1];
  data = arguments[2];
  const ScratchFolder folder;
  scratch = folder.path();
  weights();
  photo_folders();
  pictures();
  arrays();
  detectors();
  texts();
  records();
  boxes();
  reports();
  networks();
  return 0;
}
