// A run of a classifier: images of one size in batches, judged by accuracy.
#pragma once
#include "distill/train/task.h"

namespace retort {

// split: which training images are trained on, and which are held out to choose the best epoch.
std::unique_ptr<Task> make_classification_task(const TaskParts& parts, const Split& split);

}  // namespace retort
