// The report's main table for a paper: LaTeX with booktabs.
#pragma once
#include <string>

#include "distill/report/report.h"

namespace retort {

// A table environment: per pair its teacher and rows, last epoch's first metric as mean and deviation over
// the seeds, the paired difference to plain KD with its 95 % interval, and n. Bold: the best row whose
// difference is above zero for sure; where none is, nothing. Rows that cannot be compared say why in a
// comment. Needs \usepackage{booktabs}, and UTF-8 where labels do.
std::string report_latex(const Report& report);

// As text in LaTeX, whatever it holds.
std::string escaped_latex(const std::string& raw);

}  // namespace retort
