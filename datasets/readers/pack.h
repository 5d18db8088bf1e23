// A folder of photos in a few large files: they are read as one stream from file systems where a million
// small ones are slow. The pictures themselves are unchanged, and so are their order, numbers and bits.
#pragma once
#include <filesystem>
#include <string>

#include "datasets/image_set.h"
#include "datasets/readers/folder_listing.h"

namespace retort {

// Writes FILE, the index, and FILE.0, FILE.1, ..., the pictures end to end, each of at most `part_bytes`
// unless one picture is larger. The index comes last, so that it never names what is not there; parts that
// are there without one are replaced. Fault::usage if FILE is there, Fault::input for what is wrong in the
// folder, Fault::write if the disk is full.
struct PackedFolder {
  int64_t pictures = 0, bytes = 0, parts = 0;
};
PackedFolder pack_folder(const std::filesystem::path& folder, const std::filesystem::path& file,
                         const std::string& test_labels = {}, int64_t part_bytes = int64_t(1) << 30);

// As read_folder() of the folder that was packed. A picture's bytes are held against their hash when they are
// read. Fault::input, naming the file, if the index or a part is missing, damaged or not of this pack.
DataSet read_pack(const std::filesystem::path& file, const DataOptions& options = {});

// What an index holds. Reading it fails with Fault::input, naming it, for anything that no pack could be.
struct PackIndex {
  struct Place {
    int32_t part = 0;
    int64_t offset = 0;
    std::string hash;  // 16 hexadecimal digits
  };
  std::string name;  // of the folder
  FolderListing listing;
  std::vector<int64_t> parts;      // bytes of each
  std::vector<Place> train, test;  // as in the listing
};
std::string index_text(const PackIndex& index);
PackIndex read_index(const std::string& text, const std::string& name);

}  // namespace retort
