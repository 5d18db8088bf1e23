#include "distill/run/tensorboard.h"
#include "engine/base/file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::TempFolder;

TEST(TensorBoard, Crc32c) {
  // RFC 3720 appendix B.4, and the usual check value.
  std::string ascending(32, '\0');
  for (size_t i = 0; i < ascending.size(); ++i) ascending[i] = char(i);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

template <class T>
T take(std::string_view& bytes) {
  T value{};
  EXPECT_GE(bytes.size(), sizeof value);
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(std::min(bytes.size(), sizeof value));
  return value;
}

// Splits a file into its events, without their time, and checks both checksums.
std::vector<std::string> events_of(const std::filesystem::path& file) {
  const std::string content = read_text_file(file);
  std::string_view rest = content;
  std::vector<std::string> events;
  const auto unmask = [](uint32_t masked) {
    const uint32_t rotated = masked - 0xa282ead8u;
    return rotated >> 17 | rotated << 15;
  };
  while (!rest.empty()) {
    const std::string_view length_bytes = rest.substr(0, 8);
    const uint64_t length = take<uint64_t>(rest);
    EXPECT_EQ(unmask(take<uint32_t>(rest)), crc32c(length_bytes));
    std::string_view event = rest.substr(0, length);
    rest.remove_prefix(event.size());
    EXPECT_EQ(unmask(take<uint32_t>(rest)), crc32c(event));
    EXPECT_EQ(take<char>(event), 0x09);  // field 1, a double: the time
    EXPECT_GT(take<double>(event), 1.7e9);
    events.emplace_back(event);
  }
  return events;
}

TEST(TensorBoard, Records) {
  TempFolder folder;
  TensorBoard board(folder.path(), 1);
  board.add(300, {{"a", 1.0}, {"test_acc", 0.5}});
  EXPECT_TRUE(board.file().filename().string().starts_with("events.out.tfevents."));
  const std::vector<std::string> events = events_of(board.file());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0],
            "\x1a\x0d"
            "brain.Event:2");
  EXPECT_EQ(events[1], "\x10\x01\x3a\x02\x08\x01");
  using namespace std::string_literals;
  EXPECT_EQ(events[2],
            "\x10\xac\x02"  // step 300
            "\x2a\x1b"      // the summary
            "\x0a\x08\x0a\x01"
            "a\x15\x00\x00\x80\x3f"  // a: 1.0
            "\x0a\x0f\x0a\x08"
            "test_acc\x15\x00\x00\x00\x3f"s);
}

// tensorboard reads this as {tag: settings, plugin: text, dtype: string, shape: [1]}.
TEST(TensorBoard, Text) {
  TempFolder folder;
  TensorBoard board(folder.path(), 1);
  board.add_text(5, "settings", "a = 1\nb = 2");
  const std::vector<std::string> events = events_of(board.file());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[2],
            "\x10\x05"                                  // step 5
            "\x2a\x35\x0a\x33"                          // the summary, its value
            "\x0a\x08settings"                          // 1: tag
            "\x42\x1d\x08\x07\x12\x04\x12\x02\x08\x01"  // 8: tensor, DT_STRING, one dimension of 1
            "\x42\x13    a = 1\n    b = 2"              // 8: the string
            "\x4a\x08\x0a\x06\x0a\x04text");            // 9: metadata, the text plugin
}

TEST(TensorBoard, AnEpochsTags) {
  const auto scalars = scalars_of(
      {1, 0.05, 3.25, 20.5, valued(classification_metrics(), {19.75, 45, 3.5}), 12.34, {2.5, 0.75}},
      {"ce", "kd"}, 640);
  std::vector<std::string> tags;
  for (const auto& [tag, value] : scalars) tags.push_back(tag);
  EXPECT_EQ(tags,
            (std::vector<std::string>{"train_loss", "train_acc", "test_loss", "test_acc", "test_acc_top5",
                                      "lr", "images_per_second", "loss/ce", "loss/kd"}));
  EXPECT_EQ(scalars[2].second, 3.5);
  EXPECT_EQ(scalars[3].second, 19.75);
  EXPECT_EQ(scalars[5].second, 0.05);
  EXPECT_EQ(scalars[8].second, 0.75);
}

TEST(TensorBoard, TagsAreTheMetricsColumns) {
  const auto scalars =
      scalars_of({.epoch = 1, .tested = valued(detection_metrics(), {20, 40, 10}), .terms = {}}, {}, 1);
  EXPECT_EQ(scalars[1], (std::pair<std::string, double>{"AP", 20}));
  EXPECT_EQ(scalars[3], (std::pair<std::string, double>{"AP75", 10}));
  EXPECT_EQ(scalars[4].first, "lr");
}

TEST(TensorBoard, WhatWasNotMeasuredIsLeftOut) {
  const auto scalars =
      scalars_of({.epoch = 1, .tested = valued(detection_metrics(), {-1, 40, -1}), .terms = {}}, {}, 1);
  std::vector<std::string> tags;
  for (const auto& [tag, value] : scalars) tags.push_back(tag);
  EXPECT_EQ(tags, (std::vector<std::string>{"train_loss", "AP50", "lr", "images_per_second"}));
}

TEST(TensorBoard, EachStartHasItsFile) {
  TempFolder folder;
  TensorBoard first(folder.path(), 1), second(folder.path(), 7);
  EXPECT_NE(first.file(), second.file());
  EXPECT_EQ(events_of(second.file())[1], "\x10\x07\x3a\x02\x08\x01");
  error_of(Fault::write, [&] { TensorBoard(folder / "absent", 1); });
}

}  // namespace
}  // namespace retort
