#include "models/network_input.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {

namespace {

constexpr const char* size_key = "size";
constexpr const char* resize_key = "test_resize";
constexpr const char* names_key = "class_names";
constexpr const char* ids_key = "category_ids";

const std::string* find(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

bool are_strings(const nlohmann::json& list) {
  return std::all_of(list.begin(), list.end(), [](const auto& entry) { return entry.is_string(); });
}

bool are_integers(const nlohmann::json& list) {
  return std::all_of(list.begin(), list.end(), [](const auto& entry) {
    return entry.is_number_integer() &&
           (!entry.is_number_unsigned() ||
            entry.template get<uint64_t>() <= uint64_t(std::numeric_limits<int64_t>::max()));
  });
}

}  // namespace

int64_t own_side(const std::string& name) {
  const std::string body = name.substr(0, name.find('+'));  // of BODY+DONOR, whose donor sees no image
  return body.ends_with("_imagenet") || body == "MobileNetV1" ? 224 : 32;
}

int64_t usual_test_resize(int64_t size) {
  return size == 224 ? 256 : size;
}

NetworkInput input_from(const Metadata& metadata, const std::string& architecture, int64_t classes,
                        const std::string& file) {
  const auto pixels = [&](const char* key, int64_t least, int64_t most, int64_t otherwise) {
    const std::string* entry = find(metadata, key);
    if (!entry) return otherwise;
    int64_t value = 0;
    check(parse(*entry, value) && value >= least && value <= most, Fault::input, file, ": '", key, "' is '",
          *entry, "', expected pixels, ", least, " to ", most);
    return value;
  };
  NetworkInput input;
  input.size = pixels(size_key, least_side, most_side, own_side(architecture));
  input.test_resize = pixels(resize_key, input.size, 4 * most_side, usual_test_resize(input.size));
  // One entry a class, all of one type.
  const auto list_of = [&](const char* key, bool (*are_so)(const nlohmann::json&), const char* type) {
    const std::string* entry = find(metadata, key);
    if (!entry) return nlohmann::json(nlohmann::json::array());
    nlohmann::json list = nlohmann::json::parse(*entry, nullptr, false);
    check(list.is_array() && are_so(list), Fault::input, file, ": '", key, "' is no JSON array of ", type);
    check(classes == 0 || int64_t(list.size()) == classes, Fault::input, file, ": '", key, "' holds ",
          list.size(), " ", type, ", expected one for each of ", classes, " classes");
    return list;
  };
  input.class_names = list_of(names_key, are_strings, "strings").get<std::vector<std::string>>();
  for (const std::string& name : input.class_names)
    check(name.find('\0') == std::string::npos, Fault::input, file, ": '", names_key,
          "' holds a name with a zero in it");
  input.category_ids = list_of(ids_key, are_integers, "integers").get<std::vector<int64_t>>();
  const std::vector<int64_t>& ids = input.category_ids;
  check(std::adjacent_find(ids.begin(), ids.end(), std::greater_equal()) == ids.end(), Fault::input, file,
        ": '", ids_key, "' does not ascend");
  return input;
}

void put_input(const NetworkInput& input, Metadata& metadata) {
  metadata[size_key] = std::to_string(input.size);
  metadata[resize_key] = std::to_string(input.test_resize);
  metadata.erase(names_key);
  if (!input.class_names.empty()) metadata[names_key] = nlohmann::json(input.class_names).dump();
  metadata.erase(ids_key);
  if (!input.category_ids.empty()) metadata[ids_key] = nlohmann::json(input.category_ids).dump();
}

void set_input(Metadata& metadata, int64_t size, int64_t test_resize) {
  if (size > 0) {
    std::string& entry = metadata[size_key];
    if (test_resize == 0 && entry != std::to_string(size)) metadata.erase(resize_key);
    entry = std::to_string(size);
  }
  if (test_resize > 0) metadata[resize_key] = std::to_string(test_resize);
}

std::string other_classes_note(const std::string& network, const std::vector<std::string>& own,
                               const std::vector<std::string>& of_images) {
  const size_t both = std::min(own.size(), of_images.size());
  for (size_t i = 0; i < both; ++i) {
    if (own[i] != of_images[i])
      return text("note: class ", i, " is '", of_images[i], "' in the images and '", own[i], "' for ",
                  network, ": other classes, or another order of them?");
  }
  return "";
}

}  // namespace retort
