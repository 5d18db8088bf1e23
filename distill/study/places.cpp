#include "distill/study/places.h"

#include <algorithm>

#include "datasets/detection/coco_spec.h"
#include "datasets/open.h"
#include "distill/run/named_weights.h"
#include "engine/base/utf8.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

// "cifar100:" and "data" of "cifar100:data"; drawn images lie nowhere.
std::pair<std::string, std::string> kind_and_place(const std::string& spec) {
  const size_t colon = spec.find(':');
  if (is_drawn(spec) || colon == std::string::npos) return {spec, ""};
  return {spec.substr(0, colon + 1), spec.substr(colon + 1)};
}

std::vector<fs::path> places(const fs::path& typed, const std::string& typed_in, const fs::path& run) {
  if (typed.empty() || typed.is_absolute() || typed_in.empty()) return {typed};
  std::error_code error;
  const fs::path there = fs::weakly_canonical(fs::weakly_canonical(run, error) / typed_in, error);
  const fs::path from_there = fs::proximate(there / typed, fs::current_path(error), error);
  if (error || from_there == typed.lexically_normal()) return {typed};
  return {from_there, typed};
}

}  // namespace

bool is_present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string data_elsewhere(const std::string& given, const std::string& own) {
  if (!CocoSpec::is_one(given) || !CocoSpec::is_one(own)) return given;
  CocoSpec there = CocoSpec::parse(given);
  const CocoSpec known = CocoSpec::parse(own);
  if (there.spec() != "coco:" + there.folder) return given;  // it names its own
  const fs::path folder = there.folder;
  const auto& [train, test, images] = known.files;
  const bool all = is_present(folder / train) && is_present(folder / test) && is_present(folder / images);
  if (!all && is_present(folder / "annotations" / "instances_val2017.json")) return given;
  there.lay(known.files);
  return there.spec();
}

std::string labels_elsewhere(const std::string& given, const DataSettings& own) {
  const std::string kind = "folder:";
  if (own.val_labels.empty() || !given.starts_with(kind) || !own.spec.starts_with(kind)) return {};
  std::error_code ignored;
  const auto normal = [&](const std::string& place) {
    return fs::absolute(place, ignored).lexically_normal();
  };
  const fs::path within = normal(own.val_labels).lexically_relative(normal(own.spec.substr(kind.size())));
  if (within.empty() || *within.begin() == "..") return {};
  const fs::path labels = fs::path(given.substr(kind.size())) / within;
  return is_present(labels) ? labels.string() : std::string();
}

std::string folder_from(const fs::path& run) {
  std::error_code error;
  const fs::path relative =
      fs::relative(fs::current_path(error), fs::weakly_canonical(fs::absolute(run, error), error), error);
  // What config.toml cannot hold is left out: the paths in it stay as they were typed.
  const std::string words = error ? std::string() : relative.string();
  return is_utf8(words) ? words : std::string();
}

std::vector<std::string> places_of_data(const RunSettings& settings, const fs::path& run) {
  const auto [kind, typed] = kind_and_place(settings.data.spec);
  std::vector<std::string> all;
  for (const fs::path& place : places(typed, settings.typed_in, run)) all.push_back(kind + place.string());
  return all;
}

std::vector<std::string> places_of_weights(const std::string& spec, const RunSettings& settings,
                                           const fs::path& run) {
  const auto [typed, best] = weights_spec(spec);
  std::vector<std::string> all;
  for (const fs::path& place : places(typed, settings.typed_in, run))
    all.push_back(place.string() + (best ? ":best" : ""));
  return all;
}

bool is_there(const std::string& place) {
  if (is_present(place)) return true;
  if (const auto [path, best] = weights_spec(place); best) return is_present(path);
  const auto [kind, folder] = kind_and_place(place);
  if (kind.empty() || kind == place) return is_drawn(place);
  // Options may follow the folder.
  const std::string alone =
      CocoSpec::is_one(place) ? CocoSpec::parse(place).folder : folder.substr(0, folder.find(','));
  return is_present(folder) || is_present(alone);
}

std::string first_there(const std::vector<std::string>& places) {
  const auto found = std::find_if(places.begin(), places.end(), is_there);
  return found == places.end() ? places.back() : *found;
}

std::string place_of_labels(const RunSettings& settings, const fs::path& run) {
  std::vector<std::string> all;
  for (const fs::path& place : places(settings.data.val_labels, settings.typed_in, run))
    all.push_back(place.string());
  return first_there(all);
}

RunSettings placed(RunSettings settings, const fs::path& run) {
  const std::string data = first_there(places_of_data(settings, run)),
                    teacher = first_there(places_of_weights(settings.teacher, settings, run)),
                    init = first_there(places_of_weights(settings.init, settings, run));
  settings.data.val_labels = place_of_labels(settings, run);
  settings.data.spec = data;
  settings.teacher = teacher;
  settings.init = init;
  settings.typed_in = folder_from(run);
  return settings;
}

}  // namespace retort
