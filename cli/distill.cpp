#include "cli/training.h"

namespace retort {

int run_distill(const Arguments& arguments) {
  return run_training({"distill",
                       "train a student with the help of a teacher",
                       {"retort distill --teacher runs/teacher --student resnet8 --epochs 10"}},
                      arguments);
}

}  // namespace retort
