// What a run leaves, with the hash that it has of itself made right. First byte: metrics.csv, summary.json or
// env.json.
#include <nlohmann/json.hpp>

#include "distill/run/metrics_csv.h"
#include "distill/run/run_record.h"
#include "distill/run/sealed.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

std::string with_seal(Bytes bytes) {
  using Json = nlohmann::ordered_json;
  const Json json = Json::parse(text_of(bytes), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("xxh3")) return text_of(bytes);
  return sealed(json).dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void read_records(Bytes bytes) {
  static MemoryFile place;
  const int kind = take<uint8_t>(bytes) % 3;
  const std::string content = kind == 0 ? text_of(bytes) : with_seal(bytes);
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
