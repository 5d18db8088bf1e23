// The embedded data set: 32x32 colour images drawn by the program, one figure among clutter on each.
#pragma once
#include <cstdint>
#include <string>

#include "datasets/image_set.h"

namespace retort {

struct SyntheticOptions {
  int train = 6000, test = 1920;  // multiples of the number of classes make balanced sets
  uint64_t seed = 1;

  // "" or "train=N,test=N,seed=N" in any order over `defaults`; Fault::usage otherwise.
  static SyntheticOptions parse(const std::string& options);
  static SyntheticOptions parse(const std::string& options, const SyntheticOptions& defaults,
                                const char* set = "scenes");
};

// A class is one of eight shapes with one of three fills ("striped star"), so that every class has near
// neighbours along two axes: what a teacher knows beyond the label is which of them an image resembles.
// Position, size, rotation, aspect, colours, light and noise vary; parts are covered; some figures are blends
// of two shapes or fills. Image i is of class i % classes and a pure function of (seed, part, i): the first N
// images of a larger set are the set of N. Only IEEE-exact arithmetic decides a pixel, so the bytes are the
// same on every platform.
DataSet draw_synthetic(const SyntheticOptions& options, Parts parts = Parts::both);

}  // namespace retort
