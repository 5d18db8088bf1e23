// retort export: a trained network in a form that other programs run.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/boxes.h"
#include "cli/channel_options.h"
#include "cli/commands.h"
#include "cli/data_choice.h"
#include "cli/device_choice.h"
#include "cli/options.h"
#include "cli/output.h"
#include "datasets/open.h"
#include "distill/evaluate/network_file.h"
#include "distill/run/named_weights.h"
#include "distill/run/progress.h"
#include "distill/settings/data_options.h"
#include "distill/text/text_format.h"
#include "engine/base/atomic_file.h"
#include "engine/base/nearest.h"
#include "models/channel_numbers.h"
#include "models/export/c_code.h"
#include "models/export/export_weights.h"
#include "models/export/infer_file.h"
#include "models/export/logit_check.h"
#include "models/network_input.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

struct ExportRequest {
  std::string format, out, name = "net", quantize = "f32", data;
  int64_t threads = 0;
  bool verify = false, quiet = false;
  DataSettings images = {};
};

void verify(const ExportRequest& request, Model& model, Device& device, const std::vector<std::byte>& file,
            Json* json) {
  const WeightType type = weight_type_of("--quantize", request.quantize);
  const double allowed = type == WeightType::f32 ? 1e-4 : type == WeightType::f16 ? 1e-2 : 0.25;
  const LogitCheck expected(model, device, 4);
  const double difference = expected.difference(network_file_logits(file, expected.images, expected.count));
  check(difference <= allowed, Fault::verification, request.out, ": the logits differ from the model's by ",
        difference, " of the largest, at most ", allowed, " is expected");
  (*json)["largest_difference"] = difference;
}

// What the fewer bits change on real images: `plain` is the same network in f32.
void compare_accuracy(const ExportRequest& request, const DataOptions& options,
                      const std::vector<std::byte>& plain, const std::vector<std::byte>& file, Json* json) {
  const DataSet data = open_dataset(request.data, options);
  Progress progress(2, request.quiet);
  const auto measure = [&](const std::vector<std::byte>& network) {
    return network_file_accuracy(network, data.test, int(request.threads), [&](int64_t done, int64_t total) {
      progress.activity("testing", done, total);
    });
  };
  const NetworkAccuracy before = measure(plain), after = measure(file);
  progress.clear();
  int64_t same = 0;
  for (size_t i = 0; i < before.answers.size(); ++i) same += before.answers[i] == after.answers[i];
  (*json)["accuracy"] = {
      {"n", data.test.size()},
      {"top1_f32", before.top1},
      {"top1", after.top1},
      {"difference", after.top1 - before.top1},
      {"same_answers", 100.0 * double(same) / double(std::max<int64_t>(data.test.size(), 1))}};
}

std::string text_of(const Json& json) {
  std::string all =
      text(json["file"].get<std::string>(), ": ", json["model"].get<std::string>(), ", ",
           json["bytes"].get<int64_t>(), " bytes, weights ", json["weights"].get<std::string>(), "\n");
  if (json.contains("verified")) all += "verified: what was read back is what was written\n";
  if (json.contains("ram_bytes"))
    all += text("RAM ", json["ram_bytes"].get<int64_t>(), " bytes, flash ",
                json["flash_bytes"].get<int64_t>(), " bytes and the code\n");
  if (json.contains("largest_difference"))
    all += text("verified: logits differ by at most ", json["largest_difference"].get<double>(),
                " of the largest\n");
  if (!json.contains("accuracy")) return all;
  const Json& accuracy = json["accuracy"];
  return all + text("top-1 ", fixed(accuracy["top1"].get<double>(), 2), " %, with f32 ",
                    fixed(accuracy["top1_f32"].get<double>(), 2), " %, difference ",
                    fixed(accuracy["difference"].get<double>(), 2), " points on ",
                    accuracy["n"].get<int64_t>(), " images; ",
                    fixed(accuracy["same_answers"].get<double>(), 2), " % of the answers are the same\n");
}

Json export_network(const ExportRequest& request, const Weights& weights, Model& model, Device& device) {
  const WeightType type = weight_type_of("--quantize", request.quantize);
  const InferenceGraph graph = inference_graph(model, device);
  constexpr std::array<float, 3> unknown{};
  const auto mean = channel_numbers(weights, "mean").value_or(unknown),
             std = channel_numbers(weights, "std").value_or(unknown);
  const NetworkInput input = input_of(weights, model.name);
  // The C file's numbers are those of the embeddable library's file: it stands for both in checks.
  const std::vector<std::byte> file = infer_file(graph, {.weights = type,
                                                         .mean = mean,
                                                         .std = std,
                                                         .test_resize = input.test_resize,
                                                         .class_names = input.class_names});
  Json json = {{"file", request.out}, {"model", model.name}, {"weights", request.quantize}};
  std::string content(reinterpret_cast<const char*>(file.data()), file.size());
  if (request.format == "c") {
    const CCode code = c_code(
        graph, {.name = request.name,
                .weights = type,
                .mean = mean,
                .std = std,
                .test_resize = input.test_resize,
                .class_names = input.class_names,
                .version = RETORT_VERSION});
    content = code.text;
    json["ram_bytes"] = code.ram;
    json["flash_bytes"] = code.flash;
  }
  json["bytes"] = content.size();
  if (request.verify) verify(request, model, device, file, &json);
  if (!request.data.empty())
    compare_accuracy(request, test_options(request.images, weights, model.name),
                     infer_file(graph, {.mean = mean, .std = std}), file, &json);
  write_file(request.out, content);
  return json;
}

// ONNX and safetensors, whose weights are f32.
Json export_for_others(const ExportRequest& request, const Weights& weights, Model& model, Device& device) {
  check(request.quantize == "f32" && request.data.empty(), Fault::usage, "export: --to ", request.format,
        " writes f32 weights as they are; --quantize and --data are for --to infer and --to c");
  const bool onnx = request.format == "onnx";
  const Exported exported =
      onnx ? export_onnx(weights, model, device, request.out, RETORT_VERSION, request.verify)
           : export_safetensors(weights, model, device, request.out, request.verify);
  Json json = {{"file", request.out}, {"model", model.name}, {"weights", "f32"}, {"bytes", exported.bytes}};
  if (request.verify && onnx) json["largest_difference"] = exported.largest_difference;
  if (request.verify) json["verified"] = true;
  return json;
}

}  // namespace

int run_export(const Arguments& arguments) {
  Options options("export", "a trained network in a form that other programs run",
                  {"retort export runs/student --to onnx --verify -o net.onnx",
                   "retort export t.pth --model resnet56 --to safetensors -o t.safetensors",
                   "retort export runs/student --to infer --quantize int8 -o net.retort",
                   "retort export runs/student --to c --quantize int8 -o net.c"});
  ExportRequest request;
  std::vector<std::string> sources;
  std::string architecture;
  bool json = false;
  options.positional("RUN|FILE", "run's folder (RUN:best: its best epoch) or weights file", sources);
  options.text("--to", "FORMAT", "onnx, safetensors, infer (retort_infer, see retort.h), c (one C file)",
               request.format);
  options.choices("--to", {"onnx", "safetensors", "infer", "c"});
  options.output("-o,--out", "FILE", "what is written", request.out);
  options.text("--model", "NAME", "the network, if the file does not say", architecture);
  options.text("--quantize", "TYPE", "weights of convolutions: f32, f16 (infer), int8", request.quantize);
  options.choices("--quantize", {"f32", "f16", "int8"});
  options.text("--data", "SPEC", "compare the accuracy with that of f32 on these test images", request.data);
  options.text("--name", "NAME", "c: prefix of what the file defines", request.name);
  const ChannelOptions channels(options);
  const DataChoice photos(options);
  options.flag("--verify", "compare the logits with the model's", request.verify);
  options.integer("--threads", "CPU threads, 0: one", request.threads, 0);
  options.flag("--quiet", "no progress", request.quiet);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(sources.size() == 1, Fault::usage, "export: ", sources.size(),
        " weights are named, expected one run or file");
  check(!request.format.empty(), Fault::usage,
        "export: no format is named; give it with --to onnx, safetensors, infer or c");
  const std::vector<std::string> formats = {"onnx", "safetensors", "infer", "c"};
  check(std::find(formats.begin(), formats.end(), request.format) != formats.end(), Fault::usage, "--to '",
        request.format, "' is unknown; ", suggestion(request.format, formats));
  check(!request.out.empty(), Fault::usage, "export: no file is named to write; give it with --out");

  if (request.format != "c") options.refuse({"--name"}, "is of --to c");
  photos.apply(request.images);
  Weights weights = read_weights(sources[0]);
  channels.apply(weights);
  check_not_read("--out", request.out, weights.path);
  check_threads(request.threads);
  const auto device = Device::open({.name = "portable", .threads = int(request.threads)});
  check_no_detector(weights, architecture, "export");
  DataChoice::put_into(weights, architecture_of(weights, architecture), request.images);
  const auto model = load_model(weights, architecture, *device);
  print_notes(weights.notes);
  const bool ours = request.format == "infer" || request.format == "c";
  const Json result = ours ? export_network(request, weights, *model, *device)
                           : export_for_others(request, weights, *model, *device);
  json ? print_json(result) : print(text_of(result));
  return 0;
}

}  // namespace retort
