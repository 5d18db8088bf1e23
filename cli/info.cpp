#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/method_table.h"
#include "cli/options.h"
#include "cli/output.h"
#include "distill/report/published.h"
#include "distill/run/named_weights.h"
#include "distill/run/profile_report.h"
#include "distill/text/metric.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/file.h"
#include "models/detection/detector.h"
#include "models/model_summary.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

// What layers and multiply-adds are counted for.
Shape input_of(const Model& model) {
  const auto* const detector = dynamic_cast<const Detector*>(&model);
  return detector ? detector->input_shape() : Shape{1, model.side, model.side, 3};
}

// What a file says of itself: data, epoch, the metric that chose it.
std::string text_of(const std::map<std::string, std::string>& metadata) {
  std::string all;
  std::vector<std::string> keys = {"data", "epoch"};
  for (const Metrics& metrics : known_metrics()) keys.push_back(metrics[0].name);
  for (const std::string& key : keys) {
    const auto entry = metadata.find(key);
    if (entry != metadata.end()) all += text(all.empty() ? "" : ", ", key, " ", entry->second);
  }
  return all.empty() ? all : "the file says: " + all + "\n";
}

Json json_of(const Model& model, const ModelSummary& summary) {
  Json layers = Json::array();
  for (const LayerSummary& layer : summary.layers) {
    Json output = Json::array();
    for (int i = 0; i < layer.output.rank(); ++i) output.push_back(layer.output[i]);
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"output", output},
                      {"parameters", layer.parameters},
                      {"macs", layer.macs}});
  }
  return {{"model", model.name},  {"classes", model.classes},
          {"side", model.side},   {"height", input_of(model)[1]}, {"parameters", summary.parameters},
          {"macs", summary.macs}, {"layers", layers}};
}

std::string text_of(const Model& model, const ModelSummary& summary) {
  TextTable table({"layer", "kind", "output", "parameters", "MACs"});
  for (const LayerSummary& layer : summary.layers)
    table.add_row({layer.name, layer.kind, extents(layer.output), with_commas(layer.parameters),
                   with_commas(layer.macs)});
  return text(model.name, ": ", model.classes, " classes, ", with_commas(summary.parameters), " parameters, ",
              with_commas(summary.macs), " multiply-adds per ", input_of(model)[1], "x", input_of(model)[2], " image",
              is_detector(model.name) ? " with as many boxes as a training step takes of one" : "", "\n\n",
              table.plain());
}

std::vector<std::string> all_names() {
  std::vector<std::string> names = model_names(), detectors = detector_names();
  names.insert(names.end(), detectors.begin(), detectors.end());
  return names;
}

bool is_model(const std::string& name) {
  const std::vector<std::string> names = all_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Top-1, on CIFAR-100 or ImageNet, of the network trained with labels alone, as papers print it; the first
// where they differ.
std::optional<double> published_alone(const std::string& network) {
  for (const Published& row : published_results()) {
    if ((row.method == "teacher" && row.pair.starts_with(network + "-")) ||
        (row.method == "ce" && row.pair.ends_with("-" + network)))
      return row.top1;
  }
  return std::nullopt;
}

// All networks; classes: 0 for each one's usual number. A detector's multiply-adds are counted by its own name only: they
// take a pass over a large picture.
void print_networks(int64_t classes, bool json) {
  const auto device = Device::open({.name = "portable"});
  TextTable table({"network", "image", "parameters", "million MACs", "published %"});
  Json networks = Json::array();
  for (const std::string& name : all_names()) {
    const int64_t own = classes > 0 ? classes : is_detector(name) ? 80 : 100;
    const auto model = make_model(name, *device, {.classes = own});
    const bool counted = !is_detector(name);
    const ModelSummary summary = counted ? summarize(*model, *device, input_of(*model)) : ModelSummary{};
    const int64_t parameters = counted ? summary.parameters : count_parameters(*model);
    const std::optional<double> top1 = published_alone(name);
    table.add_row({name, text(input_of(*model)[1], "x", input_of(*model)[2]), with_commas(parameters),
                   counted ? fixed(double(summary.macs) / 1e6, 1) : "-", top1 ? fixed(*top1, 2) : "-"});
    networks.push_back({{"model", name},
                        {"classes", own},
                        {"side", model->side},
                        {"parameters", parameters},
                        {"macs", counted ? Json(summary.macs) : Json(nullptr)},
                        {"published_top1", top1 ? Json(*top1) : Json(nullptr)}});
  }
  if (json) {
    print_json({{"models", all_names()}, {"networks", networks}});
    return;
  }
  print(table.plain() + "\nParameters and multiply-adds with " +
        (classes > 0 ? std::to_string(classes) : std::string("100, of detectors 80,")) +
        " classes. The last\ncolumn: top-1 as papers print it, with labels alone, of 240 epochs or\n"
        "ImageNet's 100; `retort published` has the sources.\n");
}

}  // namespace

int run_info(const Arguments& arguments) {
  Options options("info", "layers, output shapes, parameters and multiply-adds",
                  {"retort info resnet20", "retort info runs/teacher --json", "retort info --methods",
                   "retort info --peak"});
  std::vector<std::string> names;
  std::string architecture;
  int64_t classes = 0;
  bool json = false, peak = false, methods = false;
  options.positional("MODEL|FILE", "a network, a weights file or a run's folder; none: list the networks",
                     names);
  options.integer("--classes", "of a network's name; 0: 100, of detectors 80", classes, 0);
  options.text("--model", "NAME", "the file's network, if it does not say", architecture);
  options.flag("--peak", "measure what this machine's cores and memory can do at most", peak);
  options.flag("--methods", "list the distillation methods: paper, what they read, learn and work with",
               methods);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(int(peak) + int(methods) + int(!names.empty()) <= 1, Fault::usage,
        "info: --peak, --methods and a network are asked for; expected one of them");
  if (peak || methods) options.refuse({"--classes", "--model"}, "is of networks");
  if (peak) {
    const Peak one = measure_peak(1), all = measure_peak(0);
    const auto json_of_peak = [](const Peak& p) {
      return Json{{"threads", p.threads}, {"flops", p.flops}, {"bytes", p.bytes}};
    };
    json ? print_json({{"isa", name_of(best_isa())}, {"peaks", {json_of_peak(one), json_of_peak(all)}}})
         : print(text(name_of(best_isa()), "\n", peak_text(one), "\n", peak_text(all), "\n"));
    return 0;
  }
  if (methods) {
    json ? print_json({{"methods", Json::parse(method_table_json())}}) : print(method_table());
    return 0;
  }
  const bool named = names.empty() || is_model(names[0]);
  options.refuse({named ? "--model" : "--classes"},
                 named ? "is of a file that does not say its network" : "is of a network's name");
  if (names.empty()) {
    print_networks(classes, json);
    return 0;
  }
  check(names.size() == 1, Fault::usage, "info: ", names.size(),
        " names are given, expected one: MODEL or FILE");

  const auto device = Device::open({.name = "portable"});
  const bool looks_like_path = names[0].find('/') != std::string::npos ||
                               names[0].find('.') != std::string::npos ||
                               std::filesystem::exists(weights_spec(names[0]).path);
  std::unique_ptr<Model> model;
  std::map<std::string, std::string> metadata;
  if (!is_model(names[0]) && looks_like_path) {
    const Weights weights = read_weights(names[0]);
    model = load_model(weights, architecture, *device);
    print_notes(weights.notes);
    metadata = weights.file.metadata;
  } else {
    model = make_model(names[0], *device, {.classes = classes > 0 ? classes : is_detector(names[0]) ? 80 : 100});
  }
  const ModelSummary summary = summarize(*model, *device, input_of(*model));
  if (json) {
    Json result = json_of(*model, summary);
    if (!metadata.empty()) result["metadata"] = metadata;
    print_json(result);
  } else {
    print(text_of(metadata) + text_of(*model, summary));
  }
  return 0;
}

}  // namespace retort
