#include "distill/report/evaluation_cache.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "distill/run/json_bounds.h"
#include "distill/run/sealed.h"
#include "engine/base/atomic_file.h"
#include "engine/base/check.h"
#include "engine/base/file.h"

namespace retort {

namespace {

using Json = nlohmann::json;

constexpr const char* format = "retort report cache 2";
constexpr size_t most_classes = 1'000'000;

std::string hash_of_value(const std::string& key, const Json& value) {
  return hash_of_entry(key, value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// What is wrong with an entry, as an Error that find() turns into a note.
template <class... Parts>
void expect(bool ok, const Parts&... parts) {
  check(ok, Fault::input, parts...);
}

int64_t count_of(const Json& json, int64_t most) {
  expect(json.is_number_integer() && json.get<int64_t>() >= 0 && json.get<int64_t>() <= most, "a count is ",
         json.dump(), ", expected 0 to ", most);
  return json.get<int64_t>();
}

// gaps: null is NaN, which says that there is nothing to measure.
std::vector<double> numbers_of(const Json& json, size_t classes, double least, double most,
                               bool gaps = false) {
  expect(json.is_array() && json.size() == classes, "there are ", json.size(), " numbers, expected ",
         classes);
  std::vector<double> numbers;
  for (const Json& entry : json) {
    if (gaps && entry.is_null()) {
      numbers.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    expect(entry.is_number(), entry.dump(), " is no number");
    numbers.push_back(entry.get<double>());
    expect(std::isfinite(numbers.back()) && numbers.back() >= least && numbers.back() <= most, "a number is ",
           numbers.back(), ", expected ", least, " to ", most);
  }
  return numbers;
}

}  // namespace

double ClassAccuracy::top1() const {
  const double right = double(std::accumulate(correct.begin(), correct.end(), int64_t{0}));
  return 100 * right / double(std::accumulate(images.begin(), images.end(), int64_t{0}));
}

struct EvaluationCache::Content {
  Json entries = Json::object();
};

EvaluationCache::EvaluationCache(std::filesystem::path file)
    : file_(std::move(file)), content_(std::make_unique<Content>()) {
  std::error_code ignored;
  if (!std::filesystem::exists(file_, ignored)) return;
  try {
    const Json json = parse_json<Json>(read_text_file(file_, 1 << 28), file_.string());
    if (json.is_object() && json.contains("entries") && json.at("entries").is_object() &&
        json.value("format", Json()) == Json(format))
      content_->entries = json.at("entries");
    else
      notes_.push_back(file_.string() + ": is no cache of this version; computed again");
  } catch (const Error& error) {
    notes_.push_back(text(error.what(), "; computed again"));
  }
}

EvaluationCache::~EvaluationCache() = default;

template <class Read>
bool EvaluationCache::find(const std::string& key, Read&& read) {
  if (!content_->entries.contains(key)) return false;
  try {
    const Json& entry = content_->entries.at(key);
    expect(entry.is_object() && entry.contains("value") && entry.contains("hash") &&
               entry.at("hash").is_string(),
           "it is no entry");
    expect(entry.at("hash").get<std::string>() == hash_of_value(key, entry.at("value")),
           "its hash is another");
    read(entry.at("value"));
    return true;
  } catch (const Error& error) {
    notes_.push_back(
        text(file_.string(), ": the entry of ", key, " is damaged (", error.what(), "); computed again"));
  } catch (const Json::exception&) {
    notes_.push_back(text(file_.string(), ": the entry of ", key, " is damaged; computed again"));
  }
  content_->entries.erase(key);
  return false;
}

bool EvaluationCache::find_names(const std::string& key, std::vector<std::string>& names) {
  return find(key, [&](const Json& value) {
    expect(value.is_array() && !value.empty() && value.size() <= most_classes, "it names no classes");
    names = value.get<std::vector<std::string>>();
  });
}

bool EvaluationCache::find_accuracy(const std::string& key, size_t classes, ClassAccuracy& accuracy) {
  return find(key, [&](const Json& value) {
    const Json &images = value.at("images"), &correct = value.at("correct");
    expect(images.is_array() && correct.is_array() && images.size() == classes && correct.size() == classes,
           "it has ", images.size(), " and ", correct.size(), " classes, the images have ", classes);
    ClassAccuracy read;
    for (size_t c = 0; c < classes; ++c) {
      read.images.push_back(count_of(images[c], int64_t{1} << 40));
      read.correct.push_back(count_of(correct[c], read.images.back()));
    }
    accuracy = std::move(read);
  });
}

bool EvaluationCache::find_confidence(const std::string& key, size_t classes,
                                      std::vector<double>& confidence) {
  return find(key, [&](const Json& value) { confidence = numbers_of(value, classes, 0, 1, true); });
}

bool EvaluationCache::find_numbers(const std::string& key, size_t count, double least, double most,
                                   std::vector<double>& numbers) {
  return find(key, [&](const Json& value) { numbers = numbers_of(value, count, least, most); });
}

bool EvaluationCache::find_judgement(const std::string& key, size_t classes, Judgement& judgement) {
  return find(key, [&](const Json& value) {
    constexpr int64_t most = int64_t{1} << 40;
    const Json &images = value.at("images"), &right = value.at("right"), &said = value.at("said");
    expect(images.is_array() && right.is_array() && images.size() == confidence_bins &&
               right.size() == confidence_bins && said.is_array(),
           "it has ", images.size(), " and ", right.size(), " bins, expected ", confidence_bins);
    Judgement read;
    for (size_t b = 0; b < confidence_bins; ++b) {
      read.images.push_back(count_of(images[b], most));
      read.right.push_back(count_of(right[b], read.images.back()));
    }
    read.confidence = numbers_of(value.at("confidence"), confidence_bins, 0, double(most));
    for (size_t b = 0; b < confidence_bins; ++b)
      expect(read.confidence[b] <= double(read.images[b]), "the probabilities of ", read.images[b],
             " images sum to ", read.confidence[b]);
    int64_t all = 0, right_ones = 0;
    for (const Json& one : said) {
      expect(one.is_array() && one.size() == 3, "what a class is taken for is no three numbers");
      const auto last = int64_t(classes) - 1;
      const int label = int(count_of(one[0], last)), says = int(count_of(one[1], last));
      const int64_t count = count_of(one[2], read.count() - all);
      expect(read.said.try_emplace({label, says}, count).second, "a class is taken for another twice");
      all += count;
      if (label == says) right_ones += count;
    }
    expect(all == read.count(), "it counts ", all, " and ", read.count(), " images");
    expect(right_ones == std::accumulate(read.right.begin(), read.right.end(), int64_t{0}), "it counts ",
           right_ones, " images and others that are right");
    judgement = std::move(read);
  });
}

bool EvaluationCache::find_chosen(const std::string& key, size_t classes, int64_t images,
                                  std::vector<ChosenImage>& chosen) {
  return find(key, [&](const Json& value) {
    constexpr double most = 1e30;  // of a logit in f32, with room for sums of squares
    expect(value.is_array() && value.size() <= 16, "it is no list of images");
    std::vector<ChosenImage> read;
    for (const Json& one : value) {
      read.push_back({.reason = one.at("reason").get<std::string>(),
                      .index = count_of(one.at("index"), images - 1),
                      .label = int(count_of(one.at("label"), int64_t(classes) - 1)),
                      .teacher = numbers_of(one.at("teacher"), classes, -most, most),
                      .student = numbers_of(one.at("student"), classes, -most, most),
                      .pixels = {}});
    }
    chosen = std::move(read);
  });
}

namespace {

void put(Json& entries, const std::string& key, Json value) {
  const std::string hash = hash_of_value(key, value);
  entries[key] = {{"value", std::move(value)}, {"hash", hash}};
}

}  // namespace

void EvaluationCache::put_names(const std::string& key, const std::vector<std::string>& names) {
  std::vector<std::string> known;
  if (find_names(key, known) && known == names) return;
  put(content_->entries, key, names);
  changed_ = true;
}

void EvaluationCache::put_accuracy(const std::string& key, const ClassAccuracy& accuracy) {
  put(content_->entries, key, {{"images", accuracy.images}, {"correct", accuracy.correct}});
  changed_ = true;
}

void EvaluationCache::put_numbers(const std::string& key, const std::vector<double>& numbers) {
  put(content_->entries, key, numbers);
  changed_ = true;
}

void EvaluationCache::put_judgement(const std::string& key, const Judgement& judgement) {
  Json said = Json::array();
  for (const auto& [which, count] : judgement.said)
    said.push_back(Json::array({which.first, which.second, count}));
  put(content_->entries, key,
      {{"images", judgement.images},
       {"right", judgement.right},
       {"confidence", judgement.confidence},
       {"said", std::move(said)}});
  changed_ = true;
}

void EvaluationCache::put_chosen(const std::string& key, const std::vector<ChosenImage>& chosen) {
  Json all = Json::array();
  for (const ChosenImage& image : chosen) {
    all.push_back({{"reason", image.reason},
                   {"index", image.index},
                   {"label", image.label},
                   {"teacher", image.teacher},
                   {"student", image.student}});
  }
  put(content_->entries, key, std::move(all));
  changed_ = true;
}

void EvaluationCache::write() const {
  if (!changed_) return;
  const Json json = {{"format", format}, {"entries", content_->entries}};
  write_file(file_, json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace retort
