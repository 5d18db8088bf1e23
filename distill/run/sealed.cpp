#include "distill/run/sealed.h"

#include <nlohmann/json.hpp>
#include <span>

#include "engine/base/check.h"
#include "engine/base/hash.h"

namespace retort {

namespace {

using Json = nlohmann::ordered_json;

const std::string seal_begin = text("# retort format ", run_format, ", XXH3 ");
constexpr size_t hash_digits = 16;
constexpr const char* hash_key = "xxh3";

std::string hash_of_text(const std::string& content) {
  return hash_of(std::as_bytes(std::span(content)));
}

// Bytes that are no UTF-8 are U+FFFD in the file.
std::string hash_of_json(Json object) {
  object.erase(hash_key);
  return hash_of_text(object.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

std::string sealed(const std::string& content) {
  return content + seal_begin + hash_of_text(content) + "\n";
}

bool check_seal(const std::string& content, const std::filesystem::path& file) {
  const size_t seal_size = seal_begin.size() + hash_digits + 1;
  const size_t begin = content.size() < seal_size ? std::string::npos : content.size() - seal_size;
  const bool has_one =
      begin != std::string::npos && content.compare(begin, seal_begin.size(), seal_begin) == 0;
  // A seal that is no longer the last line, or is not whole, is a seal that was damaged.
  check(has_one || content.find("# retort format") == std::string::npos, Fault::input, file.string(),
        ": is damaged: its last line, the hash of the others, is not whole");
  if (!has_one) return false;
  const std::string wanted = content.substr(begin + seal_begin.size(), hash_digits);
  const std::string found = hash_of_text(content.substr(0, begin));
  check(wanted == found, Fault::input, file.string(), ": is not what was written there: its hash is ", found,
        ", its last line says ", wanted, "; settings of a run that began cannot be changed");
  return true;
}

Json sealed(Json object) {
  object["format"] = run_format;
  object[hash_key] = hash_of_json(object);
  return object;
}

bool check_seal(const Json& object, const std::filesystem::path& file) {
  check(object.is_object(), Fault::input, file.string(), ": expected a JSON object");
  if (!object.contains("format") && !object.contains(hash_key)) return false;
  const std::string found = hash_of_json(object);
  check(object.contains(hash_key) && object[hash_key] == found, Fault::input, file.string(),
        ": is not what was written there: its hash is ", found, ", its entry ", hash_key, " says otherwise");
  check(object.contains("format") && object["format"] == run_format, Fault::input, file.string(),
        ": is of another format than ", run_format, "; a newer retort may read it");
  return true;
}

std::string hash_of_entry(const std::string& key, const std::string& content) {
  return hash_of_text(key + "\n" + content);
}

std::string unbound_note(const std::filesystem::path& folder) {
  return folder.string() + ": unbound: made by 0.1.0";
}

}  // namespace retort
