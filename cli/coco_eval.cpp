#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/boxes.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "datasets/readers/coco.h"
#include "distill/evaluate/coco.h"
#include "engine/base/check.h"

namespace retort {

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
    print_error(text("note: ", files[1], ": ",
                     results.of_unknown_categories == 1
                         ? "1 result is of a category"
                         : text(results.of_unknown_categories, " results are of categories"),
                     " that the annotations lack: left out"));
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
