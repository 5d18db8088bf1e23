// A run of a detector: pictures of many sizes with boxes, judged by COCO's average precision.
#pragma once
#include "distill/train/task.h"

namespace retort {

// Detectors learn from boxes, classifiers from labels: Fault::usage where network and data do not fit, or the
// method or a setting cannot be a detector's.
void check_boxes(const RunSettings& settings, const DataSet& data);

// Whether detectors can be trained with it: see check_boxes().
bool distils_detectors(const MethodInfo& method);

std::unique_ptr<Task> make_detection_task(const TaskParts& parts);

}  // namespace retort
