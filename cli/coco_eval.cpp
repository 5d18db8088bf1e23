#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/boxes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "datasets/readers/coco.h"
#include "distill/evaluate/coco.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

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

namespace {

// "45.31", "-" where it is not defined.
std::string percent(double fraction) {
  return fraction < 0 ? "-" : fixed(100 * fraction, 2);
}

}  // namespace

std::string text_of(const CocoScores& scores) {
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
  return all.plain() + (scores.classes.empty() ? "" : "\n" + classes.plain());
}

int run_coco_eval(const Arguments& arguments) {
  Options options("coco-eval", "average precision of anybody's boxes, as COCO scores it",
                  {"retort coco-eval instances_val2017.json results.json",
                   "retort coco-eval instances_val2017.json results.json --json"});
  std::vector<std::string> files;
  bool json = false;
  options.positional("ANNOTATIONS.json RESULTS.json",
                     "both in COCO's format; results: a list of {image_id, "
                     "category_id, bbox, score}",
                     files);
  options.flag("--json", "result as JSON: {AP, AP50, ..., classes}, fractions, -1 where undefined", json);
  if (!options.parse(arguments)) return 0;
  check(files.size() == 2, Fault::usage, "coco-eval: ", files.size(),
        " files are named, expected two: the annotations, then the results");

  const CocoAnnotations annotations = read_coco_annotations(files[0]);
  const CocoResults results = read_coco_results(files[1], annotations);
  if (results.of_unknown_categories > 0)
    print_error(text("note: ", files[1], ": ", results.of_unknown_categories,
                     " results are of categories that the annotations lack: left out"));
  const auto zero = [](const CocoAnnotation& a) { return a.id == 0; };
  if (std::any_of(annotations.annotations.begin(), annotations.annotations.end(), zero))
    print_error(text("note: ", files[0],
                     ": an annotation has the id 0, which pycocotools counts as not found even "
                     "where it is; here it counts as any other"));
  const CocoScores scores = coco_scores(annotations, results.detections);
  if (json) {
    print_json(json_of(scores));
  } else {
    print(text_of(scores));
  }
  return 0;
}

}  // namespace retort
