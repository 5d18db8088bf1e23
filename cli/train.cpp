#include "cli/training.h"

namespace retort {

int run_train(const Arguments& arguments) {
  return run_training({"train",
                       "train a network with labels alone",
                       {"retort train --model resnet20 --epochs 10 --out runs/teacher",
                        "retort train --model resnet56 --data cifar100:data --seeds 3",
                        "retort train --resume runs/teacher"}},
                      arguments);
}

}  // namespace retort
