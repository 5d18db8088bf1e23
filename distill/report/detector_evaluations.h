// What a report computes from detectors' checkpoints: average precision per class, what teacher and students
// find on the same test pictures, and which boxes the distillation pushes.
#pragma once
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"
#include "datasets/readers/coco.h"
#include "distill/report/evaluations.h"

namespace retort {

struct ShownBox {
  CocoRect box;       // in the picture's pixels
  int32_t label = 0;  // of class_names
  double weight = 1;  // how sure a detector is, or how hard the box is pushed, against the hardest
  bool object = true;
};

// A test picture as somebody sees it: who draws it knows its boxes, detectors find some.
struct SeenPicture {
  std::string label;  // "teacher rcnn_small", "pcd, seed 1"
  int row = -1;       // of the pair; -1 for the truth and the teacher
  std::vector<ShownBox> boxes;
};
struct TestPicture {
  int64_t id = 0, width = 0, height = 0;
  Image pixels;                   // empty unless pictures were asked for
  std::vector<SeenPicture> seen;  // the truth first
};

// Where the distillation of a row pushes its student: the gradient of the method's terms by the student's
// logits, summed in magnitude over the classes, on boxes drawn as in training.
struct Push {
  size_t row = 0;
  uint64_t seed = 0;
  int64_t pictures = 0;
  int64_t objects = 0, background = 0;                           // boxes
  double on_objects = 0, on_background = 0;                      // sums over them
  std::vector<std::pair<int64_t, std::vector<ShownBox>>> boxes;  // on the pictures shown, by their ids

  double object_share() const { return on_objects / (on_objects + on_background); }  // of all; NaN of nothing
};

struct PairBoxes {
  std::vector<std::string> class_names;
  // Average precision by class, fractions, -1 where there is nothing to find: of the teacher, and by row and
  // run.
  std::vector<double> teacher;
  std::vector<std::vector<std::vector<double>>> students;
  std::vector<TestPicture> pictures;
  std::vector<Push> pushes;

  bool empty() const { return class_names.empty(); }
  // Of a row, the mean over its runs; empty if there are none.
  std::vector<double> mean_of_row(size_t row) const;
};

struct DetectorEvaluations {
  std::vector<PairBoxes> pairs;    // as in Results; empty for pairs of classifiers
  std::vector<std::string> notes;  // what could not be computed, and why
};

// The last weights of every run that counts and the teacher's, on all test pictures. Average precisions are
// kept in the cache. Pixels are taken of scenes, which the program draws, and of others only with
// options.pictures.
DetectorEvaluations evaluate_detectors(const Results& data, const EvaluationOptions& options,
                                       Progress& progress);

}  // namespace retort
