// A pack is its folder: same order, pixels, numbers, hash.
#include "datasets/readers/pack.h"

#include <filesystem>

#include "datasets/open.h"
#include "datasets/readers/folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"

namespace retort::testing {
namespace {

std::vector<uint8_t> all_pixels(const ImageSet& set) {
  PictureReader reader(set.decoder);
  std::vector<uint8_t> all(size_t(set.size() * set.image_bytes()));
  for (int64_t i = 0; i < set.size(); ++i) set.read(i, reader, all.data() + i * set.image_bytes());
  return all;
}

TEST(Pack, IsTheFolder) {
  for (const int side : {0, 16}) {
    TempFolder folder;
    write_photo_folder(folder, 3, 2, side);
    const auto file = folder / "photos.pack";
    const PackedFolder done = pack_folder(folder.path(), file, "", 20'000);
    EXPECT_EQ(done.pictures, 15);
    if (side == 0) {
      EXPECT_GT(done.parts, 3);
    }
    const DataOptions options{.size = side ? 0 : 48};
    const DataSet from_folder = read_folder(folder.path(), options);
    for (const char* part : {"train", "val"}) std::filesystem::remove_all(folder / part);
    const DataSet from_pack = read_pack(file, options);
    EXPECT_EQ(from_pack.name, from_folder.name);
    EXPECT_EQ(from_pack.hash(), from_folder.hash());
    EXPECT_EQ(from_pack.train.labels, from_folder.train.labels);
    EXPECT_EQ(from_pack.train.class_names, from_folder.train.class_names);
    EXPECT_EQ(from_pack.train.mean, from_folder.train.mean);
    EXPECT_EQ(from_pack.train.in_memory(), side != 0);
    EXPECT_EQ(all_pixels(from_pack.test).size(), size_t(6 * from_pack.test.image_bytes()));
  }
}

TEST(Pack, PixelsAreThoseOfTheFolder) {
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  pack_folder(folder.path(), folder / "p", "", 30'000);
  const DataOptions options{.size = 40, .known_numbers = true};
  const DataSet a = read_folder(folder.path(), options), b = read_pack(folder / "p", options);
  EXPECT_EQ(all_pixels(a.train), all_pixels(b.train));
  EXPECT_EQ(all_pixels(a.test), all_pixels(b.test));
}

// It would go into weights, which are UTF-8.
TEST(Pack, TheFoldersNameIsUtf8) {
  TempFolder folder;
  folder.write("b\xe9/train/a/0.png", png_of(class_picture(0, 0, 8, 8)));
  folder.write("b\xe9/val/a/1.png", png_of(class_picture(0, 1, 8, 8)));
  expect_fault(Fault::input, "is no UTF-8, which an index cannot hold; rename the folder",
               [&] { pack_folder(folder / "b\xe9", folder / "p"); });
  EXPECT_FALSE(std::filesystem::exists(folder / "p.0"));
}

// Parts of a second packing that fails would lie under the first one's index.
TEST(Pack, OneThatIsThereIsNotReplaced) {
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  pack_folder(folder.path(), folder / "p");
  expect_fault(Fault::usage, "p is there already; name another file",
               [&] { pack_folder(folder.path(), folder / "p"); });
}

TEST(Pack, DamagedAndMissingParts) {
  TempFolder folder;
  write_photo_folder(folder, 2, 1);
  const auto file = folder / "p";
  pack_folder(folder.path(), file);
  const DataOptions options{.size = 40, .known_numbers = true};
  {
    std::fstream part(folder / "p.0", std::ios::binary | std::ios::in | std::ios::out);
    part.seekp(5000);
    part << "?";
  }
  const DataSet data = read_pack(file, options);
  expect_fault(Fault::input, "is not what was packed; the file is damaged", [&] { all_pixels(data.train); });
  std::filesystem::resize_file(folder / "p.0", 6000);
  expect_fault(Fault::input, "p.0: 6,000 bytes, expected", [&] { read_pack(file, options); });
  std::filesystem::remove(folder / "p.0");
  expect_fault(Fault::input, "p.0: cannot be opened", [&] { read_pack(file, options); });
  folder.write("other", "text");
  expect_fault(Fault::input, "is no pack", [&] { read_pack(folder / "other", options); });
}

TEST(Pack, IndexTextAndBack) {
  TempFolder folder;
  write_photo_folder(folder, 1, 1);
  pack_folder(folder.path(), folder / "p");
  std::ifstream in(folder / "p", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(text.find(folder.path().string()), std::string::npos) << "no place of this machine's";
  const PackIndex index = read_index(text, "p");
  EXPECT_EQ(index_text(index), text);
  for (size_t i = 0; i < text.size(); i += 5) {
    std::string damaged = text;
    damaged[i] = char(damaged[i] ^ 2);
    expect_fault(Fault::input, "p", [&] { read_index(damaged, "p"); });
  }
  PackIndex outside = index;
  outside.train[0].offset = index.parts[0];
  expect_fault(Fault::input, "lies outside of the pack's parts",
               [&] { read_index(index_text(outside), "p"); });
}

}  // namespace
}  // namespace retort::testing
