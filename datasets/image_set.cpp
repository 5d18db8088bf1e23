#include "datasets/image_set.h"

#include <cstring>

#include "engine/base/check.h"
#include "engine/base/hash.h"

namespace retort {

namespace {

// The parts are hashed apart and then together, so that no byte can move from one to the other unseen.
uint64_t hash_with(const ImageSet& set, uint64_t images) {
  const uint64_t parts[] = {uint64_t(set.size()),
                            uint64_t(set.height),
                            uint64_t(set.width),
                            uint64_t(set.channels),
                            uint64_t(set.classes),
                            images,
                            hash_number_of(std::as_bytes(std::span(set.labels)))};
  return hash_number_of(std::as_bytes(std::span(parts)));
}

}  // namespace

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
  if (listing_hash != 0) return hash_with(*this, listing_hash);
  return in_memory() ? content_hash() : hash_with(*this, pictures->hash());
}

uint64_t ImageSet::content_hash() const {
  check(in_memory(), "content_hash: of images that are not in memory");
  return hash_with(*this, hash_number_of(std::as_bytes(std::span(images))));
}

uint64_t DataSet::hash() const {
  if (boxes) return boxes_hash;
  const uint64_t parts[] = {train.hash(), test.hash()};
  return hash_number_of(std::as_bytes(std::span(parts)));
}

}  // namespace retort
