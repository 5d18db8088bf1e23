#include "distill/evaluate/predict.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/boxes.h"
#include "cli/channel_options.h"
#include "cli/commands.h"
#include "cli/data_choice.h"
#include "cli/device_choice.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_of_weights.h"
#include "datasets/formats/npy.h"
#include "datasets/open.h"
#include "distill/evaluate/exported_network.h"
#include "distill/evaluate/seen_by.h"
#include "distill/run/named_weights.h"
#include "distill/settings/data_options.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "models/detection/detector.h"
#include "models/network_input.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

// The classes' names where somebody knows them: from --data, the weights' file, or drawn images, which need
// no files.
std::vector<std::string> class_names(const std::string& data, DataOptions options, const Weights& weights,
                                     const std::string& network) {
  const std::string* trained_on = weights.metadata("data");
  options.known_numbers = true;  // nothing is read but the names
  if (!data.empty()) return open_dataset(data, options).test.class_names;
  const std::vector<std::string> own = input_of(weights, network).class_names;
  if (!own.empty()) return own;
  if (trained_on && *trained_on == "synthetic")
    return open_dataset("synthetic:train=1,test=1", Parts::test).test.class_names;
  return {};
}

std::string name_of_class(int64_t label, const std::vector<std::string>& names) {
  return label < int64_t(names.size()) ? names[size_t(label)] : text("class ", label);
}

}  // namespace

int run_predict(const Arguments& arguments) {
  Options options("predict", "the likeliest classes of pictures or normalised arrays",
                  {"retort predict --weights runs/teacher cat.jpg dog.png",
                   "retort predict --weights runs/detector --draw found photo.jpg"});
  std::vector<std::string> inputs;
  std::string weights_spec, architecture, data, logits_file;
  int64_t top = 5;
  double temperature = 1;
  std::vector<int64_t> numbers;
  bool json = false;
  options.positional("IMAGE...|x.npy", "JPEGs and PNGs, or one f32 [N, H, W, 3], normalised", inputs);
  options.text("--weights", "RUN|FILE", "run (RUN:best: its best epoch), weights file or export",
               weights_spec);
  options.text("--model", "NAME", "its network, if the file does not say", architecture);
  options.text("--data", "SPEC", "data set of the class names; detectors: of the pictures", data);
  options.value("--image", "N", "a test image of the data by number, from 0; repeatable",
                [&](const std::string& given) { numbers.push_back(integer_of("--image", given, 0)); });
  options.value(
      "--temperature", "T", "logits are divided by it before the softmax",
      [&](const std::string& given) {
        check(parse(given, temperature) && temperature >= 1e-3 && temperature <= 1e6, Fault::usage,
              "--temperature is '", given, "', expected a number from 0.001 to 1e+06");
      },
      "1");
  const DataChoice photos(options);
  options.output("--logits", "FILE", "write the logits, f32 [N, classes]", logits_file);
  options.integer("--top", "classes shown", top, 1);
  const ChannelOptions channels(options);
  const DeviceChoice device_choice(options);
  BoxOutputs boxes;
  int64_t size = 0, percent = 50;
  options.output("-o,--results", "FILE", "COCO's results", boxes.results);
  options.output("--draw", "DIR", "boxes on NAME.png; of equal names on NAME-ID.png", boxes.draw);
  options.value(
      "--part", "P", "of --data: train",
      [&](const std::string& given) {
        check(given == "train" || given == "test", Fault::usage, "--part is '", given,
              "', expected train or test");
        boxes.training = given == "train";
      },
      "test");
  options.choices("--part", {"test", "train"});
  options.integer("--score", "boxes: least %", percent, 0);
  options.integer("--size", "shorter side, 0: its", size, 0);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  check(!weights_spec.empty(), Fault::usage, "predict: no weights are named; give them with --weights");
  const auto check_named = [&](bool named) {
    check(named, Fault::usage,
          "predict: no image is named; give files, or a test image's number with --image");
  };
  const bool named = !inputs.empty() || !numbers.empty();
  check_named(named || !data.empty());  // a detector looks at all test pictures of the data
  check(inputs.empty() || numbers.empty(), Fault::usage, "predict: give files or --image, not both");
  const bool array = !inputs.empty() && inputs[0].ends_with(".npy");
  const bool any_array =
      std::any_of(inputs.begin(), inputs.end(), [](const auto& i) { return i.ends_with(".npy"); });
  check(!any_array || inputs.size() == 1, Fault::usage, "predict: give pictures, or one .npy");

  for (const std::string& input : inputs) check_not_read("--logits", logits_file, input);
  for (const auto& [name, file] : {std::pair("--logits", logits_file), {"--results", boxes.results}})
    check_not_read(name, file, weights_path(weights_spec));

  const DeviceOptions device_options = device_choice.options();
  const auto exported = ExportedNetwork::open(weights_path(weights_spec), device_options.threads);
  Weights weights = exported ? exported->weights() : read_weights(weights_spec);
  if (exported)
    options.refuse({"--model", "--device", "--precision"},
                   "is for weights, and " + weights_spec + " is an exported network");
  channels.apply(weights);
  if (!exported && is_detector(architecture_of(weights, architecture))) {
    check(!any_array, Fault::usage, "predict: ", weights_spec, " is a detector: arrays are for classifiers");
    options.refuse({"--image", "--logits", "--top", "--temperature"},
                   "is for classifiers, and " + weights_spec + " is a detector");
    check(!options.given("--part") || !data.empty(), Fault::usage, "predict: --part is of --data; name it");
    boxes.pictures = inputs;
    boxes.least_score = double(percent) / 100;
    DataSettings looked_at;
    looked_at.spec = data;
    if (!data.empty()) looked_at = data_of(weights, data);
    photos.apply(looked_at);
    if (size == 0) size = looked_at.size;
    return predict_boxes(
        weights, architecture, boxes,
        {.device = device_options, .json = json, .data = looked_at, .size = pictures_size(weights, size)});
  }
  options.refuse({"--results", "--draw", "--score", "--size", "--part"},
                 "is for detectors, and " + weights_spec + " is none");
  check_named(named);
  DataSettings reading;
  if (!numbers.empty()) reading = data_of(weights, data);
  photos.apply(reading);
  if (!numbers.empty()) data = reading.spec;
  DataChoice::put_into(weights, exported ? exported->name() : architecture_of(weights, architecture), reading,
                       exported ? exported->side() : 0);
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> model;
  if (!exported) {
    device = Device::open(device_options);
    model = load_model(weights, architecture, *device);
  }
  print_notes(weights.notes);
  const int64_t side = exported ? exported->side() : model->side,
                classes = exported ? exported->classes() : model->classes;
  const std::string& network = exported ? exported->name() : model->name;
  check(reading.size == 0 || reading.size == side, Fault::usage, "predict: data.size is ", reading.size, ", ",
        network, " sees images of side ", side);
  const DataOptions reads = test_options(reading, weights, network);
  const auto numbered = [&] {
    const ImageSet test = open_dataset(data, reads).test;
    return prepare_numbered(test, numbers, seen_by(weights, test), side);
  };
  const auto pictures = [&] {
    return prepare_pictures(inputs, weights, side, int(input_of(weights, network).test_resize),
                            reads.decoder);
  };
  const PreparedImages images = !numbers.empty() ? numbered()
                                : array          ? prepare_array(inputs[0], side)
                                                 : pictures();
  for (const std::string& note : images.notes) print_error(note);
  const std::vector<float> logits =
      exported ? exported->logits(images.pixels, images.count) : predict_logits(*model, *device, images);
  const std::vector<std::string> names = class_names(data, reads, weights, network);
  check(names.empty() || int64_t(names.size()) == classes, Fault::input, "predict: ", network, " has ",
        classes, " classes, ", data.empty() ? "its data" : data, " has ", names.size(),
        "; --data names the data set it was trained on");
  if (!logits_file.empty()) write_npy(logits_file, {images.count, classes}, std::span<const float>(logits));

  Json predictions = Json::array();
  std::string lines;
  for (int64_t i = 0; i < images.count; ++i) {
    Json guesses = Json::array();
    std::string line;
    for (const Guess& guess : likeliest(logits.data() + i * classes, classes, top, temperature)) {
      const std::string name = name_of_class(guess.label, names);
      guesses.push_back({{"class", guess.label}, {"name", name}, {"probability", guess.probability}});
      line += (line.empty() ? "" : ", ") + name + " " + fixed(100 * guess.probability, 2) + " %";
    }
    predictions.push_back({{"image", images.names[size_t(i)]}, {"top", guesses}});
    lines += images.names[size_t(i)] + ": " + line + "\n";
  }
  json ? print_json({{"model", network}, {"predictions", predictions}}) : print(lines);
  return 0;
}

}  // namespace retort
