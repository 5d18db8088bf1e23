// Reading zip archives (PKWARE's APPNOTE.TXT 6.3, with zip64) whose entries are stored, not compressed: what
// torch.save writes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace retort {

class ZipArchive {
 public:
  // Reads the central directory. The archive refers to the bytes of `file`; `name` stands for it in messages.
  // Fault::input, naming the place, for whatever is not a sound archive.
  ZipArchive(std::span<const std::byte> file, std::string name);

  // Begins like an archive with entries.
  static bool looks_like_one(std::span<const std::byte> file);

  bool contains(const std::string& entry) const { return entries_.contains(entry); }
  std::vector<std::string> names() const;  // sorted

  // An entry's bytes, held against its CRC-32. Fault::input if there is no such entry, or it is compressed,
  // encrypted, out of the file or damaged.
  std::span<const std::byte> read(const std::string& entry) const;

 private:
  struct Entry {
    uint16_t flags, method;
    uint32_t crc;
    uint64_t packed, size, header;  // header: where the local header lies
  };
  struct Directory {
    uint64_t at, size, count;
  };
  Directory find_directory() const;
  void read_directory(const Directory& directory);

  std::span<const std::byte> file_;
  std::string name_;
  std::map<std::string, Entry> entries_;
};

// The checksum of zip, gzip and PNG: polynomial 0xEDB88320, reflected.
uint32_t crc32(std::span<const std::byte> data);

}  // namespace retort
