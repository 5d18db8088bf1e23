// What a run leaves, with the hash that it has of itself made right. First byte: metrics.csv, summary.json or
// env.json.
#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "tests/fuzz/repair.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_records(Bytes bytes) {
  static MemoryFile place;
  const int kind = take<uint8_t>(bytes) % 3;
  const std::string content = kind == 0 ? text_of(bytes) : resealed_json(text_of(bytes));
  const std::filesystem::path& file = place.holding(bytes_of(content));
  if (kind == 0) {
    read_metrics(file);
  } else if (kind == 1) {
    read_summary(file);
  } else {
    recorded_data_hash(file);
  }
}

}  // namespace retort::fuzz
