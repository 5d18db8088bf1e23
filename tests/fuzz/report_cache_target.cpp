// What a report keeps of checkpoints, with every hash made right.
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "distill/report/evaluation_cache.h"
#include "distill/run/json_bounds.h"
#include "distill/run/sealed.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

namespace {

void require_sound(const Judgement& judged, size_t classes) {
  for (const double share : {judged.accuracy(), judged.mean_confidence(), judged.calibration_error()})
    if (!(share >= 0 && share <= 1)) throw std::logic_error("a share of images that there cannot be");
  int64_t said = 0;
  for (const auto& [which, count] : judged.said) {
    if (which.first < 0 || size_t(which.first) >= classes || which.second < 0 ||
        size_t(which.second) >= classes)
      throw std::logic_error("a class that there is not was taken");
    said += count;
  }
  if (said != judged.count()) throw std::logic_error("what was said is not of as many images");
}

}  // namespace

void read_report_cache(Bytes bytes) {
  using Json = nlohmann::json;
  static MemoryFile place;
  Json json = parse_json<Json>(text_of(bytes), "fuzz");
  std::vector<std::string> keys;
  if (json.is_object() && json.contains("entries") && json["entries"].is_object()) {
    for (auto& [key, entry] : json["entries"].items()) {
      keys.push_back(key);
      if (entry.is_object() && entry.contains("value"))
        entry["hash"] =
            hash_of_entry(key, entry["value"].dump(-1, ' ', false, Json::error_handler_t::replace));
    }
  }
  const std::string repaired =
      keys.empty() ? text_of(bytes) : json.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t classes = 3;
  constexpr int64_t images = 5;
  for (const std::string& key : keys) {
    EvaluationCache cache(place.holding(bytes_of(repaired)));  // what is not sound is taken out of it
    std::vector<std::string> names;
    ClassAccuracy accuracy;
    std::vector<double> confidence;
    std::vector<ChosenImage> chosen;
    cache.find_names(key, names);
    EvaluationCache again(place.path());
    if (again.find_accuracy(key, classes, accuracy)) {
      if (accuracy.correct.size() != classes || accuracy.images.size() != classes)
        throw std::logic_error("an accuracy of another number of classes was taken");
      for (size_t c = 0; c < classes; ++c) accuracy.percent(c);
    }
    EvaluationCache third(place.path());
    if (third.find_confidence(key, classes, confidence) && confidence.size() != classes)
      throw std::logic_error("a confidence of another number of classes was taken");
    EvaluationCache fourth(place.path());
    std::vector<double> numbers;
    if (fourth.find_numbers(key, classes, -1, 1, numbers)) {
      if (numbers.size() != classes) throw std::logic_error("other than as many numbers were taken");
      for (const double number : numbers)
        if (!(number >= -1 && number <= 1)) throw std::logic_error("a number out of its range was taken");
    }
    EvaluationCache fifth(place.path());
    Judgement judged;
    if (fifth.find_judgement(key, classes, judged)) require_sound(judged, classes);
    EvaluationCache sixth(place.path());
    if (!sixth.find_chosen(key, classes, images, chosen)) continue;
    for (const ChosenImage& one : chosen)
      if (one.index < 0 || one.index >= images || one.label < 0 || size_t(one.label) >= classes ||
          one.teacher.size() != classes || one.student.size() != classes)
        throw std::logic_error("an image that there is not was taken");
  }
  if (keys.empty()) EvaluationCache cache(place.holding(bytes));
}

}  // namespace retort::fuzz
