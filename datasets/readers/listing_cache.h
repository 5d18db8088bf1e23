// Listings of folders, kept between runs: a million names take a while to collect.
#pragma once
#include <filesystem>
#include <string>

#include "datasets/readers/folder_listing.h"

namespace retort {

// list_folder(), taken from the cache folder where the time of every folder is what it was. Pictures that
// were written over in place are not noticed here, but when they are read: their sizes differ.
FolderListing cached_listing(const std::filesystem::path& folder, const std::string& test_labels = {});
// list_folder(), which is kept in place of what was.
FolderListing renewed_listing(const std::filesystem::path& folder, const std::string& test_labels = {});

// What is kept: text, ended by its hash. Reading it fails with Fault::input, naming it, for anything else.
std::string listing_text(const FolderListing& listing);
FolderListing read_listing(const std::string& text, const std::string& name);

}  // namespace retort
