// Figures of the report as inline SVG, coloured by the page's style (classes c0 to c9, a method's own in
// every figure). Each has a text alternative; nothing is told by a tooltip or a colour alone. Those that take
// the page's full width come in two drawings, for wide screens and for phones, of which the style shows one.
#pragma once
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"
#include "distill/report/analysis.h"
#include "distill/report/evaluations.h"
#include "distill/report/pcd_steps.h"
#include "distill/text/svg.h"

namespace retort {

// Each row's number in the palette.
std::vector<int> row_colours(const ResultPair& pair);

// The rows as figures show them: those that are better or worse than KD for sure first, the highest
// difference on top, then the others in the table's order.
std::vector<size_t> clear_first(const ResultPair& pair);

// Score on the test images over the epochs, all rows: thin lines of the seeds, a thick one of their mean.
std::string curves_figure(const ResultPair& pair);

// One row: its seeds and their mean, with the mean of plain KD beside it. All rows of a pair have one scale.
std::string row_curves_figure(const ResultPair& pair, size_t row);

// Each row's difference to plain KD with its interval, best and last epoch.
std::string differences_figure(const ResultPair& pair, const AxisRange& scale);
// What such a figure shows of the pair: figures of several pairs share the sum.
void add_differences(const ResultPair& pair, AxisRange& scale);

// A class's gain over KD against the teacher's confidence in it. The farthest from zero are named.
struct ClassPoint {
  std::string name;
  double confidence = 0, gain = 0;  // a probability; percentage points
};
// Scales that several figures share: of confidence in percent, and of gain.
struct ClassScales {
  AxisRange confidence, gain;
  void add(const std::vector<ClassPoint>& points);
  void settle();
};
std::string class_gain_figure(const std::string& title, int colour, const std::vector<ClassPoint>& points,
                              const ClassScales& scales);

// Logits of both networks in ranked order, and below them the groups of every stage with their weights.
std::string pcd_figure(const PcdSteps& steps, const ChosenImage& image,
                       const std::vector<std::string>& class_names);

// A picture as a bitmap in a data URI; a large one is made smaller by a whole factor.
std::string picture_uri(const Image& picture);
// The image as one in an <img>, enlarged.
std::string picture(const ChosenImage& image, const std::string& description);

}  // namespace retort
