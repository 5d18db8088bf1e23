#include <nlohmann/json.hpp>

#include "cli/boxes.h"
#include "cli/channel_options.h"
#include "cli/commands.h"
#include "cli/data_choice.h"
#include "cli/device_choice.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_of_weights.h"
#include "datasets/open.h"
#include "distill/evaluate/evaluate.h"
#include "distill/evaluate/exported_network.h"
#include "distill/evaluate/seen_by.h"
#include "distill/run/named_weights.h"
#include "distill/run/progress.h"
#include "distill/settings/data_options.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/file.h"
#include "models/detection/detector.h"
#include "models/network_input.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

double percent(const Evaluation::Class& one) {
  return 100.0 * double(one.correct) / double(one.images);
}

Json json_of(const Evaluation& e, const ImageSet& images) {
  Json json = {{"top1", e.top1}, {"top5", e.top5}, {"loss", e.loss}, {"n", e.n}};
  if (e.per_class.empty()) return json;
  for (size_t c = 0; c < e.per_class.size(); ++c) {
    json["per_class"].push_back(
        {{"class", c},
         {"name", images.class_names[c]},
         {"n", e.per_class[c].images},
         {"top1", e.per_class[c].images > 0 ? Json(percent(e.per_class[c])) : Json()}});
  }
  return json;
}

std::string text_of(const Evaluation& e, const ImageSet& images) {
  std::string all = text("top-1 ", fixed(e.top1, 2), " %\ntop-5 ", fixed(e.top5, 2), " %\nloss  ",
                         fixed(e.loss, 6), "\nn     ", e.n, "\n");
  if (e.per_class.empty()) return all;
  TextTable table({"class", "name", "images", "top-1"});
  for (size_t c = 0; c < e.per_class.size(); ++c) {
    table.add_row({std::to_string(c), images.class_names[c], std::to_string(e.per_class[c].images),
                   e.per_class[c].images > 0 ? fixed(percent(e.per_class[c]), 2) : "-"});
  }
  return all + "\n" + table.plain();
}

// "resnet8 (runs/t, epoch 3) on synthetic: 2,400 test images of 24 classes, by the weights' mean ..., std
// ..."
std::string what_is_evaluated(const Weights& weights, const std::string& network, const std::string& spec,
                              const ImageSet& images) {
  const std::string* epoch = weights.metadata("epoch");
  return text(network, " (", weights.source, epoch ? ", epoch " + *epoch : "", ") on ", spec, ": ",
              with_commas(images.size()), " test images of ", images.classes, " classes, by ",
              weights.metadata("mean") ? "the weights' " : "the data's ", text_of(seen_by(weights, images)));
}

}  // namespace

int run_eval(const Arguments& arguments) {
  Options options(
      "eval", "accuracy and loss of trained weights on a data set's test images",
      {"retort eval --weights runs/teacher", "retort eval --weights runs/teacher:best --per-class --json",
       "retort eval --weights w.safetensors --model resnet20 --data cifar100:data"});
  std::string weights_spec, architecture, data_spec;
  int64_t batch = 200;
  bool per_class = false, json = false, quiet = false;
  options.text("--weights", "RUN|FILE", "run's folder (RUN:best: its best epoch), weights file or export",
               weights_spec);
  options.text("--model", "NAME", "its network, if the file does not say", architecture);
  options.text("--data", "SPEC", "synthetic, cifar100:DIR, folder:DIR, coco:DIR (the run's)", data_spec);
  options.flag("--per-class", "also every class's", per_class);
  options.integer("--batch", "images per step; of detectors 8", batch, 1);
  int64_t size = 0;
  options.integer("--size", "detectors: pictures' shorter side (0: as it was trained)", size, 0);
  const ChannelOptions channels(options);
  const DataChoice photos(options);
  const DeviceChoice device_choice(options);
  options.flag("--quiet", "no progress", quiet);
  options.flag("--json", "result as JSON: {top1, top5, loss, n}", json);
  if (!options.parse(arguments)) return 0;
  check(!weights_spec.empty(), Fault::usage, "eval: no weights are named; give them with --weights");

  const DeviceOptions device_options = device_choice.options();
  const auto exported = ExportedNetwork::open(weights_path(weights_spec), device_options.threads);
  Weights weights = exported ? exported->weights() : read_weights(weights_spec);
  if (exported)
    options.refuse({"--model", "--device", "--precision", "--batch"},
                   "is for weights, and " + weights_spec + " is an exported network");
  channels.apply(weights);
  DataSettings images = data_of(weights, data_spec);
  photos.apply(images);
  const std::string& spec = images.spec;
  const std::string network = exported ? exported->name() : architecture_of(weights, architecture);
  if (!exported && is_detector(network)) {
    if (size == 0) size = photos.size();
    return eval_boxes(weights, architecture, per_class,
                      {.device = device_options,
                       .quiet = quiet,
                       .json = json,
                       .data = images,
                       .size = pictures_size(weights, size),
                       .batch = options.given("--batch") ? batch : BoxOptions{}.batch});
  }
  options.refuse({"--size"}, "is for detectors, and " + weights_spec + " is none");
  DataChoice::put_into(weights, network, images, exported ? exported->side() : 0);
  const DataSet data = open_dataset(spec, test_options(images, weights, network));
  check(!data.boxes, Fault::usage, "eval: ", spec, " is a set of boxes for detectors; ", weights_spec, " is none");
  const std::string* trained_on = weights.metadata("data");
  if (trained_on && *trained_on != data.name)
    print_error(text("note: ", weights_spec, " was trained on ", *trained_on, ", this is ", data.name));
  if (data_spec.empty() && !options.given("--set")) note_changed_images(weights, data.test);
  const auto shown = [&](const Evaluation& result) {
    json ? print_json(json_of(result, data.test)) : print(text_of(result, data.test));
    return 0;
  };
  Progress progress(2, quiet);
  const auto testing = [&](int64_t done, int64_t total) { progress.activity("testing", done, total); };
  const auto note_classes = [&](const std::string& judge) {
    const std::string note =
        other_classes_note(judge, input_of(weights, judge).class_names, data.test.class_names);
    if (!note.empty()) print_error(note);
  };
  if (exported) {
    print_notes(weights.notes);
    note_classes(exported->name());
    print_error(what_is_evaluated(weights, exported->description(), spec, data.test));
    const Evaluation result = exported->evaluate(data.test, seen_by(weights, data.test), per_class, testing);
    progress.clear();
    return shown(result);
  }
  const auto device = Device::open(device_options);
  const auto model = load_model(weights, architecture, *device, data.test.height);
  print_notes(weights.notes);
  note_classes(model->name);
  EvaluateOptions evaluate_options;
  evaluate_options.batch = batch;
  evaluate_options.threads = device_options.threads;
  evaluate_options.workers = test_workers(images, data.test);
  evaluate_options.per_class = per_class;
  // The network saw its images so, whichever set these are from.
  evaluate_options.normalize = seen_by(weights, data.test);
  print_error(what_is_evaluated(weights, model->name, spec, data.test));
  Evaluator evaluator(*model, *device, data.test, evaluate_options);
  const Evaluation result = evaluator.run(testing);
  progress.clear();
  return shown(result);
}

}  // namespace retort
