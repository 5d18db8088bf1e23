#include "distill/train/shard_rules.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "distill/methods/registry.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

void check_shards(const RunSettings& settings, int64_t images, int processes) {
  const int shards = settings.shards;
  const auto fits = [&](int n) {
    return n == 1 || (shards % n == 0 && std::has_single_bit(unsigned(shards / n)));
  };
  if (!fits(processes)) {
    std::vector<int> numbers;
    for (int n = 1; n <= shards; ++n)
      if (fits(n)) numbers.push_back(n);
    fail(Fault::usage, "shards is ", shards, ", and there are ", processes,
         " processes: each has to have 1, 2, 4, 8 ... ",
         "parts of a batch, so that the weights do not depend on how many there are; start ",
         join(numbers, " or "), ", or --set shards=", processes);
  }
  if (shards <= 1) return;
  const MethodInfo& method = settings.method.method();
  check(method.name != "crd", Fault::usage, "shards is ", shards,
        ", but crd moves its memory of all images with every batch, in order; --set shards=1");
  check(!settings.double_batch_norm, Fault::usage, "shards is ", shards,
        ", but double_batch_norm moves three norms' statistics twice a step; --set shards=1");
  const int64_t largest = std::min(settings.batch, images);
  check(largest >= shards, Fault::usage, "shards is ", shards, ", but a batch has ", largest,
        largest == 1 ? " image" : " images",
        ": some parts would always be empty; choose a larger --batch, or fewer shards");
}

std::string shards_note(const RunSettings& settings) {
  const MethodInfo& method = settings.method.method();
  if (settings.shards <= 1 || !method.reads.batch) return "";
  return text("the loss of ", method.name, " relates the images of a batch: of each of the ", settings.shards,
              " parts that it is computed in (shards) among themselves");
}

}  // namespace retort
