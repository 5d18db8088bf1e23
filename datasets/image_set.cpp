#include "datasets/image_set.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort {

uint64_t ImageSet::hash() const {
  // The parts are hashed apart and then together, so that no byte can move from one to the other unseen.
  const uint64_t parts[] = {uint64_t(size()),
                            uint64_t(height),
                            uint64_t(width),
                            uint64_t(channels),
                            uint64_t(classes),
                            XXH3_64bits(images.data(), images.size()),
                            XXH3_64bits(labels.data(), labels.size() * sizeof(int32_t))};
  return XXH3_64bits(parts, sizeof parts);
}

uint64_t DataSet::hash() const {
  const uint64_t parts[] = {train.hash(), test.hash()};
  return XXH3_64bits(parts, sizeof parts);
}

}  // namespace retort
