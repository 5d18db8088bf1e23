#include "engine/base/zip_archive.h"

#include <algorithm>
#include <array>

#include "engine/base/byte_reader.h"

namespace retort {

namespace {

constexpr uint32_t local_signature = 0x04034b50, entry_signature = 0x02014b50, end_signature = 0x06054b50,
                   end64_signature = 0x06064b50, locator64_signature = 0x07064b50;
constexpr uint64_t entry_bytes = 46, end_bytes = 22, locator64_bytes = 20, longest_comment = 0xffff;
constexpr uint16_t zip64_field = 1;
constexpr uint32_t elsewhere32 = 0xffffffff;  // "the zip64 field has it"
constexpr uint16_t elsewhere16 = 0xffff;

constexpr std::array<uint32_t, 256> crc_table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? (value >> 1) ^ 0xedb88320u : value >> 1;
    table[i] = value;
  }
  return table;
}();

}  // namespace

uint32_t crc32(std::span<const std::byte> data) {
  uint32_t crc = 0xffffffff;
  for (std::byte b : data) crc = crc_table[(crc ^ uint8_t(b)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

bool ZipArchive::looks_like_one(std::span<const std::byte> file) {
  return file.size() >= 4 && ByteReader(file, "").number<uint32_t>("signature") == local_signature;
}

ZipArchive::ZipArchive(std::span<const std::byte> file, std::string name)
    : file_(file), name_(std::move(name)) {
  read_directory(find_directory());
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> all;
  for (const auto& [entry, place] : entries_) all.push_back(entry);
  return all;
}

// The end record is the last thing in the file, except for a comment of unknown length behind it.
ZipArchive::Directory ZipArchive::find_directory() const {
  const uint64_t size = file_.size();
  uint64_t end = size;
  for (uint64_t back = end_bytes; back <= std::min(size, end_bytes + longest_comment); ++back) {
    ByteReader reader(file_.subspan(size - back), name_);
    if (reader.number<uint32_t>("signature") != end_signature) continue;
    ByteReader comment(file_.subspan(size - 2 - (back - end_bytes)), name_);
    if (comment.number<uint16_t>("comment length") != back - end_bytes) continue;
    end = size - back;
    break;
  }
  check(end != size, Fault::input, name_,
        ": a zip archive without its directory; the file is truncated or corrupt");

  ByteReader reader(file_.subspan(end), name_, end);
  reader.take(8, "end record");
  reader.number<uint16_t>("entries on this disk");
  Directory directory{};
  directory.count = reader.number<uint16_t>("number of entries");
  directory.size = reader.number<uint32_t>("directory's size");
  directory.at = reader.number<uint32_t>("directory's place");
  if (directory.count != elsewhere16 && directory.size != elsewhere32 && directory.at != elsewhere32)
    return directory;

  if (end < locator64_bytes) return directory;
  ByteReader locator(file_.subspan(end - locator64_bytes), name_, end - locator64_bytes);
  if (locator.number<uint32_t>("zip64 locator") != locator64_signature) return directory;
  locator.number<uint32_t>("disk");
  const auto at = locator.number<uint64_t>("zip64 record's place");
  check(at < end, Fault::input, name_, ": byte ", end - locator64_bytes, ": zip64 record at byte ", at,
        ", expected before it");
  ByteReader record(file_.subspan(at), name_, at);
  check(record.number<uint32_t>("zip64 record") == end64_signature, Fault::input, name_, ": byte ", at,
        ": no zip64 record where the locator says it is");
  record.take(28, "zip64 record");
  directory.count = record.number<uint64_t>("number of entries");
  directory.size = record.number<uint64_t>("directory's size");
  directory.at = record.number<uint64_t>("directory's place");
  return directory;
}

void ZipArchive::read_directory(const Directory& directory) {
  check(directory.at <= file_.size() && directory.size <= file_.size() - directory.at, Fault::input, name_,
        ": the zip directory is said to be bytes ", directory.at, "+", directory.size, " of a file of ",
        file_.size());
  check(directory.count <= directory.size / entry_bytes, Fault::input, name_, ": the zip directory of ",
        directory.size, " bytes is said to have ", directory.count, " entries");
  ByteReader reader(file_.subspan(directory.at, directory.size), name_, directory.at);
  for (uint64_t i = 0; i < directory.count; ++i) {
    check(reader.number<uint32_t>("directory entry") == entry_signature, Fault::input, name_, ": byte ",
          reader.position() - 4, ": no entry of the zip directory where one is expected");
    reader.take(4, "versions");
    Entry entry{};
    entry.flags = reader.number<uint16_t>("flags");
    entry.method = reader.number<uint16_t>("method");
    reader.take(4, "time");
    entry.crc = reader.number<uint32_t>("CRC");
    entry.packed = reader.number<uint32_t>("packed size");
    entry.size = reader.number<uint32_t>("size");
    const auto name_bytes = reader.number<uint16_t>("name's length");
    const auto extra_bytes = reader.number<uint16_t>("extra field's length");
    const auto comment_bytes = reader.number<uint16_t>("comment's length");
    reader.take(8, "attributes");
    entry.header = reader.number<uint32_t>("place");
    const std::string entry_name(reader.text(name_bytes, "name"));
    ByteReader extra(reader.take(extra_bytes, "extra field"), name_, reader.position() - extra_bytes);
    reader.take(comment_bytes, "comment");
    // Fields of (kind, length, content); the zip64 one holds only those numbers that did not fit.
    while (extra.left() >= 4) {
      const auto kind = extra.number<uint16_t>("field's kind");
      const auto length = extra.number<uint16_t>("field's length");
      ByteReader field(extra.take(length, "extra field"), name_, extra.position() - length);
      if (kind != zip64_field) continue;
      for (uint64_t* value : {&entry.size, &entry.packed, &entry.header}) {
        if (*value == elsewhere32) *value = field.number<uint64_t>("zip64 number");
      }
    }
    check(entries_.emplace(entry_name, entry).second, Fault::input, name_, ": the entry ",
          in_quotes(entry_name), " occurs twice, expected once");
  }
}

std::span<const std::byte> ZipArchive::read(const std::string& name) const {
  const auto found = entries_.find(name);
  check(found != entries_.end(), Fault::input, name_, ": no entry ", in_quotes(name));
  const Entry& entry = found->second;
  check((entry.flags & 1) == 0, Fault::input, name_, ": entry ", in_quotes(name),
        " is encrypted; decrypt the file first");
  check(entry.method == 0 && entry.packed == entry.size, Fault::input, name_, ": entry ", in_quotes(name),
        " is compressed (method ", entry.method,
        "), expected it stored, as torch.save writes it; another program packed the file again");
  check(entry.header < file_.size(), Fault::input, name_, ": entry ", in_quotes(name),
        " is said to begin at byte ", entry.header, " of ", file_.size());
  ByteReader reader(file_.subspan(entry.header), name_, entry.header);
  check(reader.number<uint32_t>("local header") == local_signature, Fault::input, name_, ": byte ",
        entry.header, ": no local header of entry ", in_quotes(name));
  reader.take(22, "local header");
  const auto name_bytes = reader.number<uint16_t>("name's length");
  const auto extra_bytes = reader.number<uint16_t>("extra field's length");
  check(reader.text(name_bytes, "name") == name, Fault::input, name_, ": byte ", entry.header,
        ": local header and directory name entry ", in_quotes(name), " differently");
  reader.take(extra_bytes, "extra field");
  const auto data = reader.take(entry.size, "entry");
  const uint32_t crc = crc32(data);
  check(crc == entry.crc, Fault::input, name_, ": entry ", in_quotes(name), ": CRC-32 ", crc, ", expected ",
        entry.crc, "; the data is corrupt, or was saved with set_crc32_options(False)");
  return data;
}

}  // namespace retort
