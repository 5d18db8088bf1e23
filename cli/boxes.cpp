#include "cli/boxes.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/output.h"
#include "datasets/formats/png_writer.h"
#include "datasets/open.h"
#include "distill/detection/detection_evaluator.h"
#include "distill/detection/drawing.h"
#include "distill/evaluate/seen_by.h"
#include "distill/run/progress.h"
#include "distill/settings/data_options.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"

namespace retort {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Detectors at work: the device, the network, how it sees pictures.
struct Loaded {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> model;

  Detector& detector() const { return dynamic_cast<Detector&>(*model); }
};

Loaded load(const Weights& weights, const std::string& architecture, const BoxOptions& options) {
  Loaded loaded;
  loaded.device = Device::open(options.device);
  loaded.model = load_model(weights, architecture, *loaded.device);
  print_notes(weights.notes);
  return loaded;
}

std::vector<CocoDetection> found_on(const Loaded& loaded, const DetectionPart& part, const Normalize& sees,
                                    const BoxOptions& options) {
  Progress progress(2, options.quiet);
  DetectionLoaderOptions looking = pictures_for(loaded.detector().spec(), int(options.size), sees, false);
  looking.batch = options.batch;
  DetectionEvaluator evaluator(loaded.detector(), *loaded.device, part, looking);
  std::vector<CocoDetection> found =
      evaluator.detect([&](int64_t done, int64_t total) { progress.activity("looking", done, total); });
  progress.clear();
  return found;
}

// As the weights know them: by number where they say no names.
std::vector<CocoCategory> categories_of(const Weights& weights, const Model& model) {
  const NetworkInput known = input_of(weights, model.name);
  std::vector<CocoCategory> categories;
  for (size_t c = 0; c < size_t(model.classes); ++c) {
    const int64_t id = known.category_ids.empty() ? int64_t(c) + 1 : known.category_ids[c];
    categories.push_back({id, known.class_names.empty() ? text("class ", id) : known.class_names[c]});
  }
  return categories;
}

// Loose pictures as a part: ids 1 to N; read one by one, when they are looked at.
DetectionPart part_of(const std::vector<std::string>& pictures, Decoder decoder) {
  DetectionPart part;
  part.folder = ".";
  for (const std::string& file : pictures) {
    const PictureSize size = upright_size(file);
    part.annotations.images.push_back(
        {int64_t(part.annotations.images.size()) + 1, file, size.width, size.height});
  }
  part.picture = [pictures, decoder](int64_t i) { return upright(read_image(pictures[size_t(i)], decoder)); };
  return part;
}

// What is written is none of the pictures that are read.
void check_not_replaced(const BoxOutputs& outputs, const std::vector<std::string>& drawn,
                        const DetectionPart& part) {
  std::error_code unknown;
  std::set<fs::path> read;
  for (const CocoImage& image : part.annotations.images)
    if (!part.folder.empty()) read.insert(fs::weakly_canonical(part.folder / image.file_name, unknown));
  const auto hold = [&](const char* option, const fs::path& written) {
    check(!read.contains(fs::weakly_canonical(written, unknown)), Fault::usage, "predict: ", option, ": ",
          written.string(), " is a picture that is read here and would be replaced; name another place");
  };
  if (!outputs.results.empty()) hold("--results", outputs.results);
  if (outputs.draw.empty()) return;
  for (const std::string& name : drawn) hold("--draw", fs::path(outputs.draw) / name);
}

void note_other_classes(const Weights& weights, const Model& model, const DataSet& data) {
  const std::string note =
      other_classes_note(model.name, input_of(weights, model.name).class_names, data.test.class_names);
  if (!note.empty()) print_error(note);
}

// "45.31", "-" where it is not defined.
std::string percent(double fraction) {
  return fraction < 0 ? "-" : fixed(100 * fraction, 2);
}

Json results_json(const std::vector<CocoDetection>& detections, const std::map<int64_t, std::string>& files) {
  Json all = Json::array();
  for (const CocoDetection& d : detections) {
    Json one = {{"image_id", d.image},
                {"category_id", d.category},
                {"bbox", {d.box.x, d.box.y, d.box.width, d.box.height}},
                {"score", d.score}};
    if (const auto file = files.find(d.image); file != files.end()) one["file_name"] = file->second;
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

Json json_of(const CocoScores& scores) {
  Json json;
  for (const NamedCocoScore& score : named_coco_scores()) json[score.name] = scores.*score.value;
  json["classes"] = Json::array();
  for (const CocoScores::Class& one : scores.classes) {
    json["classes"].push_back(
        {{"id", one.id}, {"name", one.name}, {"AP", one.ap}, {"AP50", one.ap50}, {"AP75", one.ap75}});
  }
  return json;
}

std::string text_of(const CocoScores& scores, bool per_class) {
  static const std::map<std::string, std::string> meanings = {
      {"AP", "average precision, mean over IoU .50 to .95"},
      {"AP50", "at IoU .50"},
      {"AP75", "at IoU .75"},
      {"APs", "of objects below 32 x 32 pixels"},
      {"APm", "of objects up to 96 x 96 pixels"},
      {"APl", "of larger objects"},
      {"AR1", "average recall with 1 box a class and image"},
      {"AR10", "with 10"},
      {"AR100", "with 100"},
      {"ARs", "of objects below 32 x 32 pixels"},
      {"ARm", "of objects up to 96 x 96 pixels"},
      {"ARl", "of larger objects"}};
  TextTable all({"", "%", "what it is"}), classes({"class", "AP", "AP50", "AP75"});
  for (const NamedCocoScore& score : named_coco_scores())
    all.add_row({score.name, percent(scores.*score.value), meanings.at(score.name)});
  for (const CocoScores::Class& one : scores.classes)
    classes.add_row({one.name, percent(one.ap), percent(one.ap50), percent(one.ap75)});
  return all.plain() + (per_class && !scores.classes.empty() ? "\n" + classes.plain() : "");
}

void check_no_detector(const std::string& network, const char* command) {
  check(!is_detector(network), Fault::usage, command, ": ", network, " is a detector; ", command,
        " is not for detection networks: it shows or writes one pass over an image of a fixed size");
}

void check_no_detector(const Weights& weights, const std::string& architecture, const char* command) {
  check_no_detector(architecture.empty() ? weights.architecture : architecture, command);
}

int eval_boxes(Weights& weights, const std::string& architecture, bool per_class, const BoxOptions& options) {
  const DataOptions reading = box_options(options.data, Parts::test);
  const std::string& data = options.data.spec;
  const Loaded loaded = load(weights, architecture, options);
  const DataSet set = open_dataset(data, reading);
  check(bool(set.boxes), Fault::usage, "eval: ", loaded.model->name, " finds boxes, and ", data,
        " has none; scenes and coco:DIR have");
  const std::string* trained_on = weights.metadata("data");
  if (trained_on && *trained_on != set.name)
    print_error(text("note: ", weights.source, " was trained on ", *trained_on, ", this is ", set.name));
  note_other_classes(weights, *loaded.model, set);
  const Normalize sees = seen_by(weights, set.test);
  print_error(text(loaded.model->name, " (", weights.source, ") on ", data, ": ",
                   counted(set.boxes->test.size(), "test picture"), ", ", counted(set.test.classes, "class"),
                   ", by ", text_of(sees)));
  const std::vector<CocoDetection> found = found_on(loaded, set.boxes->test, sees, options);
  const CocoScores scores = coco_scores(set.boxes->test.annotations, found);
  if (options.json) {
    Json json = json_of(scores);
    json["n"] = set.boxes->test.size();
    print_json(json);
  } else {
    print(text_of(scores, per_class));
  }
  return 0;
}

int predict_boxes(Weights& weights, const std::string& architecture, const BoxOutputs& outputs,
                  const BoxOptions& options) {
  const std::string& data = options.data.spec;
  check(data.empty() != outputs.pictures.empty(), Fault::usage,
        "predict: a detector looks at pictures, or at those of --data; give one of them");
  DataOptions reading = box_options(options.data, outputs.training ? Parts::both : Parts::test);
  reading.pictures_alone = true;
  const Loaded loaded = load(weights, architecture, options);
  DataSet set;
  DetectionPart loose;
  if (!data.empty()) {
    set = open_dataset(data, reading);
    check(bool(set.boxes), Fault::usage, "predict: ", data, " has no boxes; scenes and coco:DIR have");
    note_other_classes(weights, *loaded.model, set);
  } else {
    loose = part_of(outputs.pictures, reading.decoder);
    loose.annotations.categories = categories_of(weights, *loaded.model);
    set.test.mean = imagenet_mean;  // where the weights do not say
    set.test.stddev = imagenet_deviation;
  }
  const DetectionPart& part = !set.boxes ? loose : outputs.training ? set.boxes->train : set.boxes->test;
  const std::vector<std::string> drawn_to = drawn_names(part.annotations.images);
  check_not_replaced(outputs, drawn_to, part);
  const std::vector<CocoDetection> found = found_on(loaded, part, seen_by(weights, set.test), options);

  std::map<int64_t, std::string> files, names;
  for (const CocoImage& image : part.annotations.images) files[image.id] = image.file_name;
  for (const CocoCategory& c : part.annotations.categories) names[c.id] = c.name;
  const Json results = results_json(found, set.boxes ? std::map<int64_t, std::string>{} : files);
  if (!outputs.results.empty())
    write_file(outputs.results, results.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");

  std::map<int64_t, std::vector<const CocoDetection*>> of_image;
  for (const CocoDetection& d : found)
    if (d.score >= outputs.least_score) of_image[d.image].push_back(&d);
  if (!outputs.draw.empty()) {
    std::error_code error;
    fs::create_directories(outputs.draw, error);
    check(!error, Fault::write, outputs.draw, ": cannot be made: ", error.message());
  }
  std::string lines;
  for (int64_t i = 0; i < part.size(); ++i) {
    const CocoImage& image = part.annotations.images[size_t(i)];
    std::vector<DrawnBox> drawn;
    std::string line;
    for (const CocoDetection* d : of_image[image.id]) {
      const std::string label = names[d->category] + " " + fixed(100 * d->score, 0) + " %";
      drawn.push_back({d->box, label, int(d->category)});
      line += (line.empty() ? "" : ", ") + label;
    }
    lines += image.file_name + ": " + (line.empty() ? "nothing" : line) + "\n";
    if (outputs.draw.empty()) continue;
    std::reverse(drawn.begin(), drawn.end());  // the surest on top
    write_png(fs::path(outputs.draw) / drawn_to[size_t(i)], with_boxes(part.picture(i), drawn));
  }
  if (options.json)
    print_json({{"model", loaded.model->name}, {"results", results}});
  else
    print(lines);
  return 0;
}

}  // namespace retort
