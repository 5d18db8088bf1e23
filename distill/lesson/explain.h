// PCD at work on one image: what teacher and student say of it, how that is ranked and grouped, and what each
// group adds to the loss. As text, as one drawing, and as a page; all three show the same numbers
// (report/pcd_steps.h).
#pragma once
#include <string>
#include <vector>

#include "distill/methods/method_settings.h"
#include "distill/report/evaluation_cache.h"

namespace retort {

struct Explanation {
  std::string student, teacher;          // "resnet8 (runs/pcd)"
  std::string image_name;                // "test image 7", "cat.png"
  ChosenImage image;                     // label: -1 where nobody knows it
  std::vector<std::string> class_names;  // may be empty: then classes are numbers
  MethodSettings method;                 // pcd's
  std::string note = {};                 // what has to be said about the settings, or empty
};

// Fault::usage if the settings do not fit the number of classes. `rows`: classes shown, those of the largest
// gap.
std::string explanation_text(const Explanation& explained, size_t rows = 10);
// A file of its own, light and dark as the reader's system asks.
std::string explanation_svg(const Explanation& explained);
std::string explanation_html(const Explanation& explained);

}  // namespace retort
