// Learning curves: the loss and the first metric over the epochs, of one run or several.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/run/metrics_csv.h"

namespace retort {

struct RunCurves {
  std::string label;  // "pcd, seed 1"
  MetricsTable metrics;
  std::string method = {};  // chooses the colour
};

// Self-contained SVG, of runs with the same metrics. A metric that is not measured while training stands with
// the next one of its unit, dashed. Of one run training and test get a colour each, of several runs each run
// its method's, with training dashed. Where the loss of training has further terms beside the cross-entropy
// with the labels, that one is shown: it alone has the test loss's scale.
std::string learning_curves(const std::string& title, const std::vector<RunCurves>& runs);

// Writes that to a file, atomically.
void write_learning_curves(const std::filesystem::path& file, const std::string& title,
                           const std::vector<RunCurves>& runs);

}  // namespace retort
