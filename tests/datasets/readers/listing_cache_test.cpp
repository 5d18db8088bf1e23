// Listings kept between runs: used while nothing changed, never when something did, never when damaged.
#include "datasets/readers/listing_cache.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "datasets/readers/folder.h"
#include "engine/base/check.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/photo_folder.h"

namespace retort::testing {
namespace {

namespace fs = std::filesystem;

class ListingCache : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* old = std::getenv("RETORT_CACHE");
    old_ = old ? old : "";
    ::setenv("RETORT_CACHE", (folder_ / "cache").c_str(), 1);
    for (const char* file :
         {"photos/train/a/1.jpg", "photos/train/b/2.jpg", "photos/val/a/3.jpg", "photos/val/b/4.jpg"})
      folder_.write(file, "x");
    age();
  }
  void TearDown() override {
    old_.empty() ? ::unsetenv("RETORT_CACHE") : ::setenv("RETORT_CACHE", old_.c_str(), 1);
  }

  // All folders changed long ago, each at another time.
  void age() {
    auto time = fs::file_time_type::clock::now() - std::chrono::hours(30);
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "photos"))
      if (entry.is_directory()) fs::last_write_time(entry.path(), time += std::chrono::seconds(1));
    fs::last_write_time(folder_ / "photos", time);
  }
  size_t listed() { return cached_listing(folder_ / "photos").train.size(); }
  size_t kept() {
    std::error_code none;
    size_t count = 0;
    for (fs::directory_iterator at(folder_ / "cache/folders", none), end; !none && at != end; ++at) ++count;
    return count;
  }

  TempFolder folder_;
  std::string old_;
};

TEST_F(ListingCache, IsUsedUntilAFolderChanges) {
  EXPECT_EQ(listed(), 2u);
  ASSERT_EQ(kept(), 1u);
  // A file behind the folder's back: the listing that was kept is used.
  const auto time = fs::last_write_time(folder_ / "photos/train/a");
  folder_.write("photos/train/a/5.jpg", "x");
  fs::last_write_time(folder_ / "photos/train/a", time);
  EXPECT_EQ(listed(), 2u);
  fs::last_write_time(folder_ / "photos/train/a", time + std::chrono::seconds(100));
  EXPECT_EQ(listed(), 3u);
  folder_.write("photos/train/c/6.jpg", "x");
  folder_.write("photos/val/c/7.jpg", "x");
  EXPECT_EQ(cached_listing(folder_ / "photos").class_names.size(), 3u);
  fs::remove_all(folder_ / "photos/val/c");
  EXPECT_EQ(cached_listing(folder_ / "photos").test.size(), 2u);
}

// What was replaced in place is found when it is read, and listed anew by who looks at all.
TEST_F(ListingCache, ReplacedPicturesAreNoticed) {
  const fs::path photos = folder_ / "photos";
  for (const auto& [name, number] :
       {std::pair("train/a/1.jpg", 1), {"train/b/2.jpg", 2}, {"val/a/3.jpg", 3}, {"val/b/4.jpg", 4}})
    folder_.write(text("photos/", name), png_of(class_picture(0, number, 40, 50)));
  age();
  const DataOptions options{.size = 32};
  const DataSet before = read_folder(photos, options);
  ASSERT_EQ(kept(), 2u) << "the listing, and mean and deviation";
  const std::string other = png_of(class_picture(1, 7, 44, 50));
  std::ofstream(photos / "train/a/1.jpg", std::ios::binary) << other;
  const auto read_all = [&](const DataSet& data) {
    PictureReader reader;
    std::vector<uint8_t> to(size_t(data.train.image_bytes()));
    for (int64_t i = 0; i < data.train.size(); ++i) data.train.read(i, reader, to.data());
  };
  const DataSet stale = read_folder(photos, options);
  expect_fault(Fault::input, text("train/a/1.jpg: ", with_commas(int64_t(other.size())), " bytes, and "),
               [&] { read_all(stale); });
  expect_fault(Fault::input, "`retort data verify folder:", [&] { read_all(stale); });
  EXPECT_EQ(verify_folder(photos, "", Decoder::stb).good, 4);
  const DataSet after = read_folder(photos, options);
  EXPECT_NO_THROW(read_all(after));
  EXPECT_NE(after.hash(), before.hash());
  EXPECT_NE(after.train.mean, before.train.mean);
  EXPECT_EQ(after.train.numbers_from, before.train.numbers_from);
}

TEST_F(ListingCache, IsNotKeptWhileTheFolderChanges) {
  folder_.write("photos/train/a/8.jpg", "x");  // now: it could change again in the same instant
  EXPECT_EQ(listed(), 3u);
  EXPECT_EQ(kept(), 0u);
}

TEST_F(ListingCache, DamagedOnesAreMadeAnew) {
  EXPECT_EQ(listed(), 2u);
  const fs::path file = fs::directory_iterator(folder_ / "cache/folders")->path();
  folder_.write("cache/folders/" + file.filename().string(), "retort-listing 1\nrubbish\n");
  EXPECT_EQ(listed(), 2u);
}

TEST_F(ListingCache, TextAndBack) {
  const FolderListing listing = list_folder(folder_ / "photos");
  const std::string text = listing_text(listing);
  const FolderListing again = read_listing(text, "kept");
  EXPECT_EQ(listing_text(again), text);
  EXPECT_EQ(FolderListing::hash(again.train), FolderListing::hash(listing.train));
  for (size_t i = 0; i < text.size(); i += 3) {
    std::string damaged = text;
    damaged[i] = char(damaged[i] ^ 4);
    expect_fault(Fault::input, "kept", [&] { read_listing(damaged, "kept"); });
    expect_fault(Fault::input, "kept", [&] { read_listing(text.substr(0, i), "kept"); });
  }
}

}  // namespace
}  // namespace retort::testing
