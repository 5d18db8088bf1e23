// Learning curves: the loss and the first metric over the epochs, of one run or several.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/methods/method_settings.h"
#include "distill/run/metrics_csv.h"

namespace retort {

struct RunCurves {
  std::string label;  // "pcd, seed 1"
  MetricsTable metrics;
  std::string method = {};   // chooses the colour
  double labels_weight = 1;  // as labels_weight_of() has it
};

// What the term "ce" of a run with this method is, as a multiple of one view's cross-entropy with the labels;
// 0: there is no such term.
double labels_weight_of(const MethodSettings& method);

// Self-contained SVG, of runs with the same metrics. A metric that is not measured while training stands with
// the next one of its unit, dashed. Of one run training and test get a colour each, of several runs each run
// its method's, with training dashed. Of the loss of training the cross-entropy with the labels is shown,
// without its weight: it alone has the test loss's scale. A loss without it is left out.
std::string learning_curves(const std::string& title, const std::vector<RunCurves>& runs);

// Writes that to a file, atomically.
void write_learning_curves(const std::filesystem::path& file, const std::string& title,
                           const std::vector<RunCurves>& runs);

}  // namespace retort
