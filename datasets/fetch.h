// Downloading data sets.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace retort {

// An archive and what has to be in it.
struct Archive {
  std::string name;                // of the data set, for messages
  std::string url, md5;            // md5 of the archive, in hexadecimal
  std::string sha256;              // where it is known, it decides; empty otherwise
  int64_t bytes;                   // of the archive
  std::string folder;              // what the archive unpacks to
  std::vector<std::string> files;  // in that folder; all must be there
};

Archive cifar100_archive();
Archive cifar10_archive();

// Makes DIR/<archive.folder> hold the data and returns that path: downloads with curl, over https (http from
// this machine alone), to a .part file in DIR, going on where an earlier attempt stopped, compares the sum,
// unpacks with tar into a temporary folder and renames that, so that the folder is whole or not there. The
// archive is removed afterwards; the MD5s of its files stay beside them in md5sums.txt.
// DIR/<archive.folder>.tar.gz, put there by hand, is used instead of a download, and stays. If the folder is
// there already, its files are compared with that list instead. Says what it does on stderr. Fault::input if
// the server or a program is missing, or the archive is damaged; Fault::verification for wrong content, links
// in place of files among it; Fault::write if the disk is full or DIR cannot be written.
std::filesystem::path fetch(const Archive& archive, const std::filesystem::path& dir);

}  // namespace retort
