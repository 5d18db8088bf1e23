#include "layers/formats/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "engine/base/atomic_file.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::error_of;
using testing::expect_contains;
using testing::TempFolder;

const std::vector<float> weights = {1, 2, 3, 4, 5, 6};
const std::vector<int64_t> steps = {1234567890123};
const std::vector<uint8_t> bytes = {7, 8, 9};

std::vector<TensorView> sample() {
  return {view_of<uint8_t>("bytes", {3}, bytes), view_of<float>("b.weight", {2, 3}, weights),
          view_of<int64_t>("steps", {}, steps), view_of<float>("a.empty", {0, 4}, {}),
          view_of<float>("a.weight", {3, 1, 2, 1, 1}, weights)};
}

std::vector<std::byte> file_of(const std::string& header, size_t data_size = 0) {
  const uint64_t length = header.size();
  std::vector<std::byte> file(8 + header.size() + data_size);
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

std::string refused(const std::string& header, size_t data_size = 0) {
  const std::string message =
      error_of(Fault::input, [&] { parse_safetensors(file_of(header, data_size), "file.safetensors"); });
  expect_contains(message, "file.safetensors: ");
  return message;
}

TEST(Safetensors, RoundTrip) {
  TempFolder folder;
  write_safetensors(folder / "w.safetensors", {{"format", "pt"}, {"note", "ünïcode \"quoted\"\n"}}, sample());
  const SafeTensors read = read_safetensors(folder / "w.safetensors");
  EXPECT_TRUE(read.verified);
  EXPECT_EQ(read.metadata,
            (std::map<std::string, std::string>{{"format", "pt"}, {"note", "ünïcode \"quoted\"\n"}}));
  std::vector<std::string> order;
  for (const HostTensor& tensor : read.tensors) order.push_back(tensor.name);
  EXPECT_EQ(order, (std::vector<std::string>{"steps", "a.empty", "a.weight", "b.weight", "bytes"}));
  const HostTensor* a = read.find("a.weight");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{3, 1, 2, 1, 1}));
  EXPECT_TRUE(std::ranges::equal(a->values<float>(), weights));
  EXPECT_EQ(read.find("steps")->values<int64_t>()[0], 1234567890123);
  EXPECT_EQ(read.find("a.empty")->shape, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(read.find("absent"), nullptr);
  expect_contains(error_of(Fault::input, [&] { a->values<double>(); }), "'a.weight' is f32, expected f64");
}

TEST(Safetensors, SameContentSameBytes) {
  TempFolder folder;
  std::vector<TensorView> reversed = sample();
  std::reverse(reversed.begin(), reversed.end());
  write_safetensors(folder / "1", {{"k", "v"}}, sample());
  write_safetensors(folder / "2", {{"k", "v"}}, reversed);
  const auto file = read_file(folder / "1");
  EXPECT_EQ(file, read_file(folder / "2"));
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  EXPECT_EQ(length % 8, 0u);
}

TEST(Safetensors, NothingInIt) {
  TempFolder folder;
  write_safetensors(folder / "w", {}, {});
  const SafeTensors read = read_safetensors(folder / "w");
  EXPECT_TRUE(read.tensors.empty() && read.metadata.empty() && read.verified);
  EXPECT_TRUE(parse_safetensors(file_of("{}"), "f").tensors.empty());
}

// As other programs write them: no hashes, no padding (so unaligned data), any order of the names.
TEST(Safetensors, FilesOfOtherPrograms) {
  auto file =
      file_of(R"({"z":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"__metadata__":{"format":"pt"},)"
              R"("a":{"shape":[1],"data_offsets":[0,8],"dtype":"F64"}}    )",
              12);
  const double eight = 8;
  const float four = 4;
  std::memcpy(file.data() + file.size() - 12, &eight, 8);
  std::memcpy(file.data() + file.size() - 4, &four, 4);
  const SafeTensors read = parse_safetensors(file, "f");
  EXPECT_FALSE(read.verified);
  EXPECT_EQ(read.metadata.at("format"), "pt");
  EXPECT_EQ(read.tensors[0].name, "a");
  EXPECT_EQ(read.find("a")->values<double>()[0], 8);
  EXPECT_EQ(read.find("z")->values<float>()[0], 4);
}

TEST(Safetensors, EveryFlippedBitIsNoticed) {
  TempFolder folder;
  write_safetensors(folder / "w", {{"model", "resnet20"}}, sample());
  std::vector<std::byte> file = read_file(folder / "w");
  ASSERT_TRUE(parse_safetensors(file, "w").verified);
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] ^= std::byte(1 << bit % 8);
    EXPECT_THROW(parse_safetensors(file, "w"), Error) << "bit " << bit;
    file[bit / 8] ^= std::byte(1 << bit % 8);
  }
  file.back() ^= std::byte{1};
  const std::string message = error_of(Fault::input, [&] { parse_safetensors(file, "w"); });
  expect_contains(message, "w: tensor 'bytes', bytes ");
  expect_contains(message, "the data is corrupt");
}

TEST(Safetensors, EveryTruncationIsNoticed) {
  TempFolder folder;
  write_safetensors(folder / "w", {}, sample());
  std::vector<std::byte> file = read_file(folder / "w");
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_THROW(parse_safetensors(std::span(file).first(size), "w"), Error) << size;
  expect_contains(
      error_of(Fault::input, [&] { parse_safetensors(std::span(file).first(file.size() - 1), "w"); }),
      "the file is truncated");
  file.push_back(std::byte{0});
  expect_contains(error_of(Fault::input, [&] { parse_safetensors(file, "w"); }), "but the file ends at");
}

TEST(Safetensors, Fuzz) {
  TempFolder folder;
  write_safetensors(folder / "w", {{"model", "resnet20"}}, sample());
  std::vector<std::byte> hashed = read_file(folder / "w");
  const std::vector<std::byte> plain =
      file_of(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
              R"("b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})",
              12);
  std::mt19937 random(1);
  const std::string likely = "{}[]\",:0123456789-.eE\\u\0 F32";
  int accepted = 0;
  for (int round = 0; round < 6000; ++round) {
    std::vector<std::byte> file = round % 2 ? plain : hashed;
    for (unsigned edits = 1 + random() % 4; edits > 0 && file.size() > 1; --edits) {
      const size_t at = random() % file.size();
      switch (random() % 5) {
        case 0:
          file[at] = std::byte(random());
          break;
        case 1:
          file[at] = std::byte(likely[random() % likely.size()]);
          break;
        case 2:
          file.insert(file.begin() + long(at), std::byte(likely[random() % likely.size()]));
          break;
        case 3:
          file.erase(file.begin() + long(at));
          break;
        case 4:
          file.resize(at);
          break;
      }
      if (file.size() >= 8 && random() % 2) {  // keep the length plausible, to get past it
        const uint64_t length = file.size() - 8 - std::min<size_t>(file.size() - 8, random() % 16);
        std::memcpy(file.data(), &length, 8);
      }
    }
    try {
      const SafeTensors read = parse_safetensors(file, "fuzzed");
      size_t total = 0;
      for (const HostTensor& tensor : read.tensors) total += tensor.data.size();
      EXPECT_LE(total, file.size());
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_GT(accepted, 0);  // a changed data byte or name in a file without hashes
}

TEST(Safetensors, HeaderLength) {
  expect_contains(error_of(Fault::input, [] { parse_safetensors({}, "f"); }), "f: has 0 bytes");
  std::vector<std::byte> file = file_of("{}");
  uint64_t length = 100'000'001;
  std::memcpy(file.data(), &length, 8);
  expect_contains(error_of(Fault::input, [&] { parse_safetensors(file, "f"); }), "at most 100000000");
  length = ~uint64_t{0};
  std::memcpy(file.data(), &length, 8);
  expect_contains(error_of(Fault::input, [&] { parse_safetensors(file, "f"); }), "18446744073709551615");
  length = 3;
  std::memcpy(file.data(), &length, 8);
  expect_contains(error_of(Fault::input, [&] { parse_safetensors(file, "f"); }), "only 2 bytes follow");
}

TEST(Safetensors, HeaderForm) {
  expect_contains(refused(""), "an empty header");
  expect_contains(refused(" {}"), "byte 8: byte value 32, expected the header's '{'");
  expect_contains(refused("[]"), "expected the header's '{'");
  expect_contains(refused("{"), "no valid JSON");
  expect_contains(refused("{} x"), "byte 11: the header is no valid JSON");
  expect_contains(refused(std::string("{}\0x", 4)), "byte 10: a zero byte");
  expect_contains(refused("{\"a\":1}"), "'a' is the number 1, expected an object");
  expect_contains(refused("{\"a\":[]}"), "'a' is");
  expect_contains(refused("{\"a\xff\":{}}"), "no valid JSON");
  refused(std::string(5'000'000, '['));
  refused("{\"a\":" + std::string(1'000'000, '['));
  refused("{\"a\":{\"shape\":" + std::string(1'000'000, '['));
}

TEST(Safetensors, Names) {
  const std::string empty = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  expect_contains(refused("{\"a\":" + empty + ",\"b\":" + empty + ",\"a\":" + empty + "}"),
                  "'a' occurs twice");
  expect_contains(refused("{\"a\":" + empty + ",\"\\u0061\":" + empty + "}"), "'a' occurs twice");
  const std::string longest(1000, 'n');
  EXPECT_TRUE(parse_safetensors(file_of("{\"" + longest + "\":" + empty + "}"), "x").find(longest));
  expect_contains(refused("{\"" + longest + "n\":" + empty + "}"), "a name of 1001 bytes");
  expect_contains(refused(R"({"__metadata__":{},"__metadata__":{}})"), "'__metadata__' occurs twice");
  expect_contains(refused(R"({"__metadata__":{"k":"1","k":"2"}})"), "'k' occurs twice");
  expect_contains(refused(R"({"__metadata__":{"k":1}})"), "metadata 'k' is the number 1, expected a string");
  expect_contains(refused(R"({"__metadata__":{"k":{}}})"), "metadata 'k' is an object");
  expect_contains(refused(R"({"a\n\u001b[31m":{"dtype":"X"}})"), "'a??[31m'");
}

TEST(Safetensors, Entries) {
  expect_contains(refused(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), "tensor 'a': no dtype");
  expect_contains(refused(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), "no shape");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "no data_offsets");
  expect_contains(refused(R"({"a":{"dtype":"F5","shape":[1],"data_offsets":[0,1]}})", 1),
                  "tensor 'a': found dtype 'F5', expected one of the format's");
  expect_contains(refused(R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,1]}})", 1), "expected a string");
  expect_contains(refused(R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,1]}})", 1),
                  "expected a string");
  expect_contains(refused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
                  "twice");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":[],"shape":[],"data_offsets":[0,4]}})", 4),
                  "shape twice");
  expect_contains(refused(R"({"a":{"dtype":"F32","stride":[1]}})"), "the key 'stride'");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":[-1]}})"), "shape with the number -1");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":[1.5]}})"), "a number with a fraction");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":[1e3]}})"), "a number with a fraction");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":"1"}})"), "shape with a string");
  expect_contains(refused(R"({"a":{"dtype":"F32","shape":null}})"), "shape with null");
}

TEST(Safetensors, Layout) {
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  expect_contains(refused(one("[1]", "[4,0]"), 4), "expected [begin, end]");
  expect_contains(refused(one("[1]", "[0]"), 4), "expected [begin, end]");
  expect_contains(refused(one("[1]", "[0,4,8]"), 8), "expected [begin, end]");
  expect_contains(refused(one("[2]", "[0,4]"), 4), "span 4 bytes, expected 8 for F32 [2]");
  expect_contains(refused(one("[1]", "[4,8]"), 8), "no holes");
  expect_contains(refused(one("[2]", "[0,8]"), 4), "truncated");
  expect_contains(refused(one("[1]", "[0,4]"), 8), "but the file ends at");
  expect_contains(refused(one("[4294967296,4294967296]", "[0,0]")), "overflows");
  expect_contains(refused(one("[0,18446744073709551615]", "[0,0]")), "overflows");
  expect_contains(refused(one("[4611686018427387904]", "[0,0]")), "overflows");  // only the bytes overflow
  expect_contains(refused(one("[4611686018427387903]", "[0,18446744073709551612]")), "truncated");
  expect_contains(refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                          R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                          6),
                  "no overlap");
}

TEST(Safetensors, Hashes) {
  EXPECT_EQ(hash_of({}), "2d06800538d394c2");  // XXH3_64bits of nothing, as published by its author
  TempFolder folder;
  write_safetensors(folder / "w", {}, sample());
  const std::string file = read_text_file(folder / "w");
  for (const std::string key : {"xxh3_header", "xxh3_tensors"}) {
    std::string renamed = file;
    renamed.replace(renamed.find(key), 4, "none");
    expect_contains(
        error_of(Fault::input, [&] { parse_safetensors(std::as_bytes(std::span(renamed)), "w"); }),
        "of the two hashes");
  }
  expect_contains(refused(R"({"__metadata__": {"xxh3_header": "0", "xxh3_tensors": ""}})"), "header: hash");
}

TEST(Safetensors, WriterRefusesNonsense) {
  TempFolder folder;
  const auto write = [&](std::map<std::string, std::string> metadata, std::vector<TensorView> tensors) {
    return error_of(Fault::internal, [&] { write_safetensors(folder / "w", metadata, tensors); });
  };
  const TensorView a = view_of<float>("a", {6}, weights);
  expect_contains(write({}, {a, a}), "'a' is reserved or occurs twice");
  expect_contains(write({}, {view_of<float>("__metadata__", {6}, weights)}), "reserved");
  expect_contains(write({{"xxh3_header", ""}}, {a}), "reserved");
  expect_contains(write({}, {view_of<float>("a", {5}, weights)}), "24 bytes");
  expect_contains(write({}, {view_of<float>("a", {-6}, weights)}), "24 bytes");
  expect_contains(write({}, {view_of<float>("a\xff", {6}, weights)}), "not UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, ReadingNamesTheFile) {
  TempFolder folder;
  write_file(folder / "w", "short");
  expect_contains(error_of(Fault::input, [&] { read_safetensors(folder / "w"); }), (folder / "w").string());
  expect_contains(error_of(Fault::input, [&] { read_safetensors(folder / "absent"); }), "No such file");
}

TEST(Safetensors, KeepsTheOneBefore) {
  TempFolder folder;
  for (const char* epoch : {"1", "2"})
    write_safetensors(folder / "last", {{"epoch", epoch}}, sample(), folder / "previous");
  EXPECT_EQ(read_safetensors(folder / "last").metadata.at("epoch"), "2");
  EXPECT_EQ(read_safetensors(folder / "previous").metadata.at("epoch"), "1");
}

}  // namespace
}  // namespace retort
