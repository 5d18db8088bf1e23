#include "datasets/image_set.h"

#include <cstring>

#include "engine/base/check.h"
#include "engine/base/hash.h"

namespace retort {

void ImageSet::read(int64_t i, PictureReader& reader, uint8_t* to) const {
  check(i >= 0 && i < size(), "image ", i, " of a set of ", size());
  if (in_memory()) {
    std::memcpy(to, image(i), size_t(image_bytes()));
    return;
  }
  PhotoView view;
  const PixelView whole = pictures->read(
      i, [&](const PictureSize& photo_size) { return (view = centre_crop(photo_size, photo)).crop; }, reader);
  reader.drawer.draw(whole, view, to);
}

uint64_t ImageSet::hash() const {
  // The parts are hashed apart and then together, so that no byte can move from one to the other unseen.
  const uint64_t parts[] = {uint64_t(size()),
                            uint64_t(height),
                            uint64_t(width),
                            uint64_t(channels),
                            uint64_t(classes),
                            in_memory() ? hash_number_of(std::as_bytes(std::span(images))) : pictures->hash(),
                            hash_number_of(std::as_bytes(std::span(labels)))};
  return hash_number_of(std::as_bytes(std::span(parts)));
}

uint64_t DataSet::hash() const {
  if (boxes) return boxes_hash;
  const uint64_t parts[] = {train.hash(), test.hash()};
  return hash_number_of(std::as_bytes(std::span(parts)));
}

}  // namespace retort
