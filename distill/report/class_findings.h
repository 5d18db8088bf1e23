// Whether a method's gain over KD goes with the teacher's confidence in a class.
#pragma once
#include <vector>

#include "distill/report/analysis.h"
#include "distill/report/report.h"

namespace retort {

// Of one row: its points, and what they say.
struct ClassFinding {
  size_t pair = 0, row = 0;
  std::vector<double> gains, confidence;  // by class; NaN of one that no test image shows
  std::vector<size_t> classes;            // the others, the one that the teacher is least sure of first
  size_t seeds = 0;                       // that the gains are of
  RankCorrelation correlation;
  double low_third = 0, high_third = 0;  // mean gains of the classes the teacher is least and most sure of
};
std::vector<ClassFinding> class_findings(const Report& report);

}  // namespace retort
