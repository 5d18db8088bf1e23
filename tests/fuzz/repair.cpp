#include "tests/fuzz/repair.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "distill/run/json_bounds.h"
#include "distill/run/sealed.h"
#include "engine/base/hash.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

constexpr size_t digits = 16;

// Where the value of a metadata entry stands in the header's text.
size_t place_of(const std::string& header, const std::string& key) {
  const size_t at = header.find('"' + key + "\":\"");
  return at == header.npos ? at : at + key.size() + 4;
}

}  // namespace

std::string repaired_safetensors(std::string file) {
  if (file.size() < 8) return file;
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  length = std::min<uint64_t>(length, file.size() - 8);
  std::string header = file.substr(8, length);
  const std::string data = file.substr(8 + length);

  if (const size_t at = place_of(header, "xxh3_tensors"); at != header.npos) {
    const nlohmann::json json = nlohmann::json::parse(header, nullptr, /*allow_exceptions=*/false);
    std::vector<std::pair<uint64_t, uint64_t>> places;
    if (json.is_object()) {
      for (const auto& [name, entry] : json.items()) {
        if (name == "__metadata__" || !entry.is_object() || !entry.contains("data_offsets")) continue;
        const auto& offsets = entry["data_offsets"];
        if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
            !offsets[1].is_number_unsigned())
          continue;
        const uint64_t begin = std::min(offsets[0].get<uint64_t>(), uint64_t{data.size()});
        places.push_back({begin, std::clamp(offsets[1].get<uint64_t>(), begin, uint64_t{data.size()})});
      }
    }
    std::sort(places.begin(), places.end());
    std::string hashes;
    for (const auto& [begin, end] : places)
      hashes += (hashes.empty() ? "" : " ") + hash_of(bytes_of(data).subspan(begin, end - begin));
    const size_t end = header.find('"', at);
    if (!json.is_discarded() && end != header.npos) header.replace(at, end - at, hashes);
  }
  if (const size_t at = place_of(header, "xxh3_header"); at != header.npos && at + digits < header.size()) {
    std::string blank = header;
    blank.replace(at, digits, digits, ' ');
    header.replace(at, digits, hash_of(bytes_of(blank)));
  }
  length = header.size();
  std::memcpy(file.data(), &length, 8);
  return file.substr(0, 8) + header + data;
}

std::string resealed_json(const std::string& content) {
  using Json = nlohmann::ordered_json;
  const Json json = parse_json<Json>(content, "fuzz");
  if (!json.is_object() || !json.contains("xxh3")) return content;
  return sealed(json).dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace retort::fuzz
