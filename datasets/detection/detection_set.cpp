#include "datasets/detection/detection_set.h"

#include <algorithm>
#include <map>

#include "engine/base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retort {

namespace {

// Of what is left of a box inside its picture. Steps compute in f32: there a side may be 0 that is none here.
constexpr double least_side = 1e-5;

bool is_a_side(double from, double to) {
  return to - from > least_side && float(to) > float(from);
}

uint64_t hash_of_part(const DetectionPart& part) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  const auto add = [&](const auto& value) { XXH3_64bits_update(state, &value, sizeof value); };
  add(part.size());
  for (const CocoImage& i : part.annotations.images) {
    add(i.id);
    add(i.width);
    add(i.height);
    XXH3_64bits_update(state, i.file_name.data(), i.file_name.size());
  }
  for (const CocoAnnotation& a : part.annotations.annotations) {
    add(a.image);
    add(a.category);
    add(a.box);
    add(a.area);
    add(a.crowd);
  }
  const uint64_t hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return hash;
}

}  // namespace

uint64_t DetectionData::hash() const {
  std::string names = name;
  for (const CocoCategory& c : categories) names += text('\n', c.id, ' ', c.name);
  const uint64_t parts[] = {XXH3_64bits(names.data(), names.size()), hash_of_part(train), hash_of_part(test)};
  return XXH3_64bits(parts, sizeof parts);
}

std::optional<CocoRect> learned_from(const CocoRect& box, const CocoImage& image) {
  const auto within = [](double place, int64_t side) { return std::clamp(place, 0.0, double(side)); };
  const double left = within(box.x, image.width), right = within(box.x + box.width, image.width),
               top = within(box.y, image.height), bottom = within(box.y + box.height, image.height);
  if (!is_a_side(left, right) || !is_a_side(top, bottom)) return std::nullopt;
  return CocoRect{left, top, right - left, bottom - top};
}

std::vector<std::vector<DetectionObject>> objects_of(const DetectionPart& part) {
  std::map<int64_t, size_t> place;
  for (size_t i = 0; i < part.annotations.images.size(); ++i) place[part.annotations.images[i].id] = i;
  std::map<int64_t, int32_t> label;
  for (const CocoCategory& c : part.annotations.categories) label.emplace(c.id, int32_t(label.size()));
  std::vector<std::vector<DetectionObject>> objects(part.annotations.images.size());
  for (const CocoAnnotation& a : part.annotations.annotations) {
    if (a.crowd) continue;
    const size_t i = place.at(a.image);
    if (const auto box = learned_from(a.box, part.annotations.images[i]))
      objects[i].push_back({*box, label.at(a.category)});
  }
  return objects;
}

}  // namespace retort
