// A folder of photos that a file of labels sorts into classes, and a photo among them: read, cropped,
// measured.
#include "datasets/readers/folder.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_photo_folder(Bytes bytes) {
  static ScratchFolder folder;
  const auto labels = take<uint8_t>(bytes);
  const Bytes text = bytes.first(bytes.size() < labels ? bytes.size() : labels);
  const Bytes photo = bytes.subspan(text.size());
  static const bool made = [] {
    for (const char* name : {"train/b", "train/a", "val"})
      std::filesystem::create_directories(folder.path() / name);
    return true;
  }();
  static_cast<void>(made);
  for (const char* name : {"train/a/1.jpg", "train/b/2.jpg", "val/v1.jpg", "val/v 2.jpg"})
    folder.write(name, photo);
  folder.write("val/val.txt", text);
  const FolderListing listing = list_folder(folder.path());
  const DataSet data =
      photo_set({"folder:fuzz", "input ", listing, bytes_in_folder(folder.path(), listing.train),
                 bytes_in_folder(folder.path(), listing.test)},
                {.network_size = 32, .known_numbers = true, .threads = 1});
  PictureReader reader;
  std::vector<uint8_t> out(size_t(data.test.image_bytes()));
  for (int64_t i = 0; i < data.test.size(); ++i) data.test.read(i, reader, out.data());
}

}  // namespace retort::fuzz
