// A teacher's stored logits: an index of any numbers with right hashes, or an older one without, rows with
// right checksums. What is found there is what the row says; what is added is found.
#include <set>
#include <stdexcept>

#include "distill/teacher/logit_store.h"
#include "tests/fuzz/target.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort::fuzz {

void read_store_index(Bytes bytes) {
  static ScratchFolder folder;
  static const std::string identity = "fuzz";
  constexpr int64_t images = 4, classes = 3;
  const LogitStore::Shape shape{images, classes, LogitPrecision::f32};
  const uint64_t seed = XXH3_64bits(identity.data(), identity.size());
  const auto row_bytes = size_t(shape.row_bytes());

  // The index as pairs of a slot and a number, as many as the first byte says, whose highest bit makes it an
  // older one; the rest are rows.
  const auto first = take<uint8_t>(bytes);
  const size_t entry_bytes = first < 128 ? 8 : 4;
  std::string index(entry_bytes * size_t(shape.slots()), '\0'), rows;
  std::set<int64_t> asked = {0, shape.slots() - 1};  // all slots would be hundreds of reads an input
  for (int pairs = first % 128; pairs > 0 && !bytes.empty(); --pairs) {
    const size_t slot = take<uint16_t>(bytes) % size_t(shape.slots());
    asked.insert(int64_t(slot));
    const uint32_t entry[] = {uint32_t(slot), take<uint32_t>(bytes)};
    const auto hash = uint32_t(XXH3_64bits_withSeed(entry, sizeof entry, seed));
    std::memcpy(index.data() + entry_bytes * slot, &entry[1], 4);
    if (entry_bytes == 8) std::memcpy(index.data() + 8 * slot + 4, &hash, 4);
  }
  rows = text_of(bytes);
  for (size_t at = 0; at + row_bytes <= rows.size(); at += row_bytes) {
    const uint64_t checksum = XXH3_64bits_withSeed(rows.data() + at + 8, row_bytes - 8, seed);
    std::memcpy(rows.data() + at, &checksum, 8);
  }
  folder.write("index", bytes_of(index));
  folder.write("rows", bytes_of(rows));
  folder.write("identity.txt", bytes_of(identity));

  LogitStore table(folder.path(), identity, shape);
  float row[classes];
  for (const int64_t slot : asked) table.find(slot / view_count, int(slot % view_count), row);
  const int64_t slot = LogitStore::slot(1, 5);
  const float added[classes] = {1, 2, 3};
  table.set_limit(uint64_t{1} << 20);
  if (!table.append({&slot, 1}, added)) return;
  if (!table.find(1, 5, row) || row[0] != 1 || row[2] != 3)
    throw std::logic_error("what was added is not found");
}

}  // namespace retort::fuzz
