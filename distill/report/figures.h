// Figures of the report as inline SVG, coloured by the page's style (classes c0 to c9 for the rows of a
// pair). Each has a text alternative; nothing is told by a tooltip or a colour alone.
#pragma once
#include <string>
#include <vector>

#include "distill/report/analysis.h"
#include "distill/report/evaluations.h"
#include "distill/report/pcd_steps.h"

namespace retort {

// Test accuracy over the epochs, all rows: thin lines of the seeds, a thick one of their mean.
std::string curves_figure(const ResultPair& pair);

// One row: its seeds and their mean, with the mean of plain KD beside it.
std::string row_curves_figure(const ResultPair& pair, size_t row);

// Each row's difference to plain KD with its interval, best and last epoch.
std::string differences_figure(const ResultPair& pair);

// A class's gain over KD against the teacher's confidence in it.
struct ClassPoint {
  std::string name;
  double confidence = 0, gain = 0;  // a probability; percentage points
};
std::string class_gain_figure(const std::string& title, const std::string& color,
                              const std::vector<ClassPoint>& points);

// Logits of both nets in ranked order, and below them the groups of every stage with their weights.
std::string pcd_figure(const PcdSteps& steps, const ChosenImage& image,
                       const std::vector<std::string>& class_names);

// The image as a bitmap in an <img>, enlarged.
std::string picture(const ChosenImage& image, const std::string& description);

// The colour class of a row: "c0".
std::string color_class(size_t row);

}  // namespace retort
