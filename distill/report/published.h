// Published accuracies on CIFAR-100 and ImageNet (published.csv), and whether a run may be held against one
// of them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "distill/settings/settings.h"
#include "distill/study/results.h"

namespace retort {

struct Published {
  std::string pair, method;  // "resnet56-resnet20"; teacher, ce, kd, kd+ls, ...
  double top1 = 0;
  int epochs = 0;
  std::string source;

  // "cifar100", or "imagenet" for pairs of networks that were made for its images.
  std::string data() const;
};

// All rows of the file.
const std::vector<Published>& published_results();

// The row's name for a method with these settings: "kd+ls" is kd on standardised logits; both forms of PCD
// stand beside the one number of its paper. Empty for a variant that nobody published.
std::string published_name(const MethodSettings& method);

// The number, if there is one.
std::optional<Published> find_published(const std::string& pair, const std::string& method);

// Whether a run on CIFAR-100 followed the recipe of the published number in full: every setting of the
// training that decides more than rounding, the warm-up, and mlkd's two views. Empty if so, otherwise all
// that is different: "24 epochs, 81 views".
std::string departs_from_recipe(const RunSettings& settings, const Published& published);

// The published number that belongs beside a row, if the row may be held against it.
struct PublishedBeside {
  std::optional<Published> published;
  std::string departs;  // why it may not
};
PublishedBeside published_beside(const ResultPair& pair, const ResultRow& row);

}  // namespace retort
