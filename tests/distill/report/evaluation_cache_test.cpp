// The report's cache is input: what is not sound in it is computed again, never believed and never a crash.
#include "distill/report/evaluation_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "engine/base/hash.h"
#include "tests/support/expect_error.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using nlohmann::json;
using testing::content_of;
using testing::expect_contains;
using testing::TempFolder;

const std::vector<double> three = {1, 2, 3};

std::string sound_cache(const TempFolder& work) {
  EvaluationCache cache(work / "c.json");
  cache.put_names("classes", {"a", "b", "c"});
  cache.put_accuracy("student", {{10, 20, 30}, {1, 20, 0}});
  cache.put_numbers("teacher", {0.5, 0, 1});
  cache.put_judgement("judged", judge(std::vector<float>{1, 2, 0, 3, 1, 0}, std::vector<int32_t>{0, 0}, 3));
  cache.put_chosen(
      "chosen",
      {{.reason = "why", .index = 59, .label = 2, .teacher = three, .student = three, .pixels = {}}});
  cache.write();
  return content_of(work / "c.json");
}

// The entry's value replaced, and its hash mended if asked for: nothing but its content speaks against it.
std::string with_value(const std::string& content, const std::string& key, const json& value, bool mended) {
  json cache = json::parse(content);
  cache["entries"][key]["value"] = value;
  const std::string hashed = key + "\n" + value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (mended) cache["entries"][key]["hash"] = hash_of(std::as_bytes(std::span(hashed)));
  return cache.dump();
}

bool found(EvaluationCache& cache, const std::string& key) {
  std::vector<std::string> names;
  ClassAccuracy accuracy;
  std::vector<double> confidence;
  std::vector<ChosenImage> chosen;
  Judgement judged;
  if (key == "judged") return cache.find_judgement(key, 3, judged);
  if (key == "classes") return cache.find_names(key, names);
  if (key == "student") return cache.find_accuracy(key, 3, accuracy);
  if (key == "teacher") return cache.find_confidence(key, 3, confidence);
  return cache.find_chosen(key, 3, 60, chosen);
}

TEST(EvaluationCache, KeepsWhatWasPut) {
  TempFolder work;
  sound_cache(work);
  EvaluationCache cache(work / "c.json");
  ClassAccuracy accuracy;
  EXPECT_TRUE(cache.find_accuracy("student", 3, accuracy));
  EXPECT_EQ(accuracy.correct, (std::vector<int64_t>{1, 20, 0}));
  EXPECT_EQ(accuracy.top1(), 35);
  for (const char* key : {"classes", "teacher", "judged", "chosen"}) EXPECT_TRUE(found(cache, key)) << key;
  EXPECT_FALSE(found(cache, "nothing"));
  // Of a class that no test image shows.
  cache.put_numbers("gaps", {0.5, std::numeric_limits<double>::quiet_NaN(), 1});
  cache.write();
  EvaluationCache again(work / "c.json");
  std::vector<double> confidence;
  EXPECT_TRUE(again.find_confidence("gaps", 3, confidence));
  EXPECT_TRUE(std::isnan(confidence[1]));
  EXPECT_EQ(confidence[2], 1);
  EXPECT_TRUE(again.notes().empty());
}

TEST(EvaluationCache, CraftedEntriesAreNotTaken) {
  TempFolder work;
  const std::string sound = sound_cache(work);
  const json chosen = {
      {"reason", "why"}, {"index", 59}, {"label", 2}, {"teacher", three}, {"student", three}};
  const auto with = [&](const char* key, const json& value) {
    json one = chosen;
    one[key] = value;
    return json::array({one});
  };
  const json judged = json::parse(sound)["entries"]["judged"]["value"];
  const auto of_first = [&](const char* key, size_t bin, const json& value) {
    json one = judged;
    one[key][bin] = value;
    return one;
  };
  const auto saying = [&](const json& said) {
    json one = judged;
    one["said"] = said;
    return one;
  };
  const std::vector<std::pair<std::string, json>> crafted = {
      {"student", {{"images", {10, 20, 30}}, {"correct", json::array()}}},
      {"student", {{"images", json::array()}, {"correct", json::array()}}},
      {"student", {{"images", {10, 20, 30}}, {"correct", {1, 20, 31}}}},
      {"student", {{"images", {10, 20, 30}}, {"correct", {1, -1, 3}}}},
      {"student", {{"images", {10, 20, 30}}, {"correct", {1, 1.5, 3}}}},
      {"student", {{"images", {10, 20, 9e18}}, {"correct", {1, 1, 3}}}},
      {"student", {{"images", {10, 20, 18446744073709551615ull}}, {"correct", {1, 1, 3}}}},
      {"student", {{"images", {10, 20, 30, 40}}, {"correct", {1, 1, 3, 4}}}},
      {"student", {{"images", "abc"}, {"correct", {1, 1, 3}}}},
      {"student", 3},
      {"student", nullptr},
      {"student", json::object()},
      {"teacher", {0.5, 0}},
      {"teacher", {0.5, 0, 1.5}},
      {"teacher", {0.5, 0, -0.1}},
      {"teacher", {0.5, 0, true}},
      {"teacher", {0.5, 0, "1"}},
      {"classes", json::array()},
      {"classes", {1, 2, 3}},
      {"chosen", with("index", 60)},
      {"chosen", with("index", -1)},
      {"chosen", with("index", 1e9)},
      {"chosen", with("label", 3)},
      {"chosen", with("label", -1)},
      {"chosen", with("teacher", {1, 2})},
      {"chosen", with("student", json::array())},
      {"chosen", with("student", {1, 2, 1e308})},
      {"chosen", with("teacher", {1, 2, nullptr})},
      {"chosen", with("reason", 7)},
      {"chosen", json(std::vector<json>(17, chosen))},
      {"judged", of_first("confidence", 0, 0.5)},  // of no images
      {"judged", of_first("confidence", 0, -1)},
      {"judged", of_first("images", 0, 1)},
      {"judged", of_first("right", 0, 1)},
      {"judged", of_first("images", 15, 0)},  // a bin more
      {"judged", saying(json::array())},
      {"judged", saying({{0, 0, 1}, {0, 1, 2}})},
      {"judged", saying({{0, 0, 1}, {0, 3, 1}})},
      {"judged", saying({{0, 0, 1}, {0, 1, 0.5}})},
      {"judged", saying({{0, 0, 2}})},  // one of them is right
      {"judged", saying({{0, 0, 1}, {0, 1, 0}, {0, 1, 1}})},
      {"judged", saying({{0, 0, 1}, {0, 1, 1}, {1, 1, 1}, {1, 2, -1}})},
  };
  for (const auto& [key, value] : crafted) {
    for (const bool mended : {false, true}) {
      work.write("c.json", with_value(sound, key, value, mended));
      EvaluationCache cache(work / "c.json");
      EXPECT_FALSE(found(cache, key)) << key << ' ' << value.dump() << ' ' << mended;
      ASSERT_EQ(cache.notes().size(), 1u);
      expect_contains(cache.notes()[0], "computed again");
      // The others are not concerned.
      for (const char* other : {"student", "teacher"}) {
        EXPECT_TRUE(other == key || found(cache, other)) << other;
      }
    }
  }
}

TEST(EvaluationCache, AFlippedDigitIsFound) {
  TempFolder work;
  const std::string sound = sound_cache(work);
  size_t believed = 0;
  for (size_t at = 0; at < sound.size(); ++at) {
    if (sound[at] < '0' || sound[at] > '9') continue;
    std::string flipped = sound;
    flipped[at] = flipped[at] == '1' ? '2' : '1';
    work.write("c.json", flipped);
    EvaluationCache cache(work / "c.json");
    size_t whole = 0;
    for (const char* key : {"classes", "student", "teacher", "judged", "chosen"}) whole += found(cache, key);
    believed += whole == 5;
  }
  EXPECT_EQ(believed, 0u);
}

TEST(EvaluationCache, AFileThatIsNoneIsNone) {
  TempFolder work;
  constexpr size_t levels = 300'000;  // the library would copy and print these by recursion
  const std::string deep = R"({"format": "retort report cache 2", "entries": {"student": )" +
                           std::string(levels, '[') + std::string(levels, ']') + "}}";
  for (const std::string content :
       {"", deep.c_str(), "[1]", "{}", "null", "{\"format\": \"retort report cache 2\", \"entries\": 3}",
        "{\"format\": \"retort report cache 1\", \"entries\": {}}",
        "{\"format\": 2, \"entries\": {\"student\": 3}}"}) {
    work.write("c.json", content);
    EvaluationCache cache(work / "c.json");
    EXPECT_FALSE(found(cache, "student")) << content;
    EXPECT_EQ(cache.notes().size(), 1u) << content;
  }
  const std::string entry = R"({"format": "retort report cache 2", "entries": {"student": 3}})";
  work.write("c.json", entry);
  EvaluationCache cache(work / "c.json");
  EXPECT_FALSE(found(cache, "student"));
}

}  // namespace
}  // namespace retort
