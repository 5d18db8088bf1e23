// Pictures of any size that are read when they are needed: files in folders, in a pack, arrays.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "datasets/augment/photo_view.h"
#include "datasets/formats/picture_decoder.h"

namespace retort {

// What one thread reads pictures with.
struct PictureReader {
  explicit PictureReader(Decoder who = Decoder::stb) : decoder(who) {}

  PictureDecoder decoder;
  PhotoDrawer drawer;
  std::vector<uint8_t> file;
};

// Used by several threads at once, with a reader each.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  virtual int64_t size() const = 0;
  // Pixels of picture i: `window` is told its size and says which. Valid until the reader's next picture.
  // Fault::input, naming the file, if it is bad.
  virtual PixelView read(int64_t i, const PictureDecoder::Choose& window, PictureReader& reader) const = 0;
  // How large picture i is, by its header: no pixel is decoded. Fault::input as above.
  virtual PictureSize measure(int64_t i, PictureReader& reader) const = 0;
  // Picture i as messages and lists name it: a path below the data set's folder.
  virtual std::string name_of(int64_t i) const = 0;
  // Of names, sizes and order: sources of equal hash hold the same pictures, as far as that can tell.
  virtual uint64_t hash() const = 0;
  // Bytes of the largest file that a picture is decoded of; 0: of none.
  virtual int64_t largest_file() const { return 0; }
};

}  // namespace retort
