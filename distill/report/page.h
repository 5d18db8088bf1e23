// Sections of the page that report_html() puts together.
#pragma once
#include <string>

#include "distill/report/analysis.h"
#include "distill/report/report.h"

namespace retort {

// A verdict as a label of its own, coloured and in words.
std::string verdict_html(const Comparison& comparison);

// The page may be passed on: settings and data without the places on this machine where something lies.
RunSettings without_places(RunSettings settings);
std::string shown_spec(const std::string& data);

// "cifar100", "synthetic": of all pairs, each once.
std::vector<std::string> data_kinds(const Results& results);

// Gain per class against the teacher's confidence; PCD taken apart on test images. Empty where the page has
// nothing to show.
std::string classes_section(const Report& report);
std::string pcd_section(const Report& report);

// Of one row: its points, and what they say.
struct ClassFinding {
  size_t pair = 0, row = 0;
  std::vector<double> gains, confidence;  // by class
  RankCorrelation correlation;
  double low_third = 0, high_third = 0;  // mean gains of the classes the teacher is least and most sure of
};
std::vector<ClassFinding> class_findings(const Report& report);

}  // namespace retort
