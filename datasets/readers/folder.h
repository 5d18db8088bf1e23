// Photos in folders, see folder_listing.h for the layouts.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/image_set.h"
#include "datasets/readers/folder_listing.h"
#include "datasets/readers/picture_files.h"

namespace retort {

// The listing is taken from the cache where it still holds; a file that has another size than it says is bad.
// Images that are all square, of one size of at most 64 pixels, are decoded at once, into memory, unless
// random crops of photos are wanted. Others are read when they are needed. Numbers: Tiny-ImageNet's for its
// layout, ImageNet's where options say so, else measured, once for a listing. Fault::input, naming the file,
// for what is bad.
DataSet read_folder(const std::filesystem::path& folder, const DataOptions& options = {});

// The same of any listing whose files' bytes somebody has.
struct ListedPictures {
  std::string name;    // of the data set
  std::string prefix;  // of files in messages
  FolderListing listing;
  PictureFiles::Bytes train, test;
};
DataSet photo_set(const ListedPictures& pictures, const DataOptions& options);

// The bytes of a listing's files where they lie.
PictureFiles::Bytes bytes_in_folder(const std::filesystem::path& folder,
                                    const std::vector<FolderListing::File>& part);

// Lists, stats and decodes everything anew; the listing in the cache is that from now on. What is bad, as
// "path: reason", in the order of the listing; the number of files that are good.
struct VerifiedFolder {
  int64_t good = 0;
  std::vector<std::string> bad;
};
VerifiedFolder verify_folder(const std::filesystem::path& folder, const std::string& test_labels,
                             Decoder decoder, int threads = 0);

// Mean and deviation of a folder's pictures as the cache keeps them. Fault::input, naming the file, for what
// is damaged.
ChannelStatistics read_channel_numbers(const std::string& text, const std::string& name);

}  // namespace retort
