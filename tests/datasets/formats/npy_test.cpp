// Reading and writing .npy files.
#include "datasets/formats/npy.h"

#include <cstring>
#include <iterator>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::expect_fault;
using testing::TempFolder;

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file with this dictionary, padded as NumPy does, and this data.
std::string npy(const std::string& dictionary, const std::string& data, int version = 1) {
  std::string header = dictionary;
  const size_t before = version == 1 ? 10 : 12;
  while ((before + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string length;
  for (size_t i = 0; i < before - 8; ++i) length += char(header.size() >> (8 * i) & 255);
  return std::string("\x93NUMPY") + char(version) + '\0' + length + header + data;
}

std::string dictionary(const std::string& shape, const std::string& type = "<f4") {
  return "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
}

TEST(Npy, RoundTripOfEveryType) {
  TempFolder folder;
  const auto round = [&](auto value, const char* code) {
    using T = decltype(value);
    const std::vector<T> values{T(1), T(0), T(200), T(3), T(value), T(5)};
    write_npy<T>(folder / "x.npy", {2, 3}, values);
    const std::string bytes = content(folder / "x.npy");
    EXPECT_NE(bytes.find(text("{'descr': '", code, "', 'fortran_order': False, 'shape': (2, 3), }")),
              std::string::npos);
    EXPECT_EQ((bytes.size() - 6 * sizeof(T)) % 64, 0u);
    const NpyArray back = read_npy(folder / "x.npy");
    EXPECT_EQ(back.type, DTypeOf<T>::value);
    EXPECT_EQ(back.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(back.size(), 6);
    EXPECT_EQ(std::vector<T>(back.values<T>().begin(), back.values<T>().end()), values);
  };
  round(-1.5f, "<f4");
  round(-1e300, "<f8");
  round(int32_t(-7), "<i4");
  round(int64_t(-7'000'000'000), "<i8");
  round(uint8_t(255), "|u1");
}

TEST(Npy, ShapesOfEveryRank) {
  TempFolder folder;
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, {1}, {4}, {0}, {3, 0, 2}, {2, 1, 2}, {1, 1, 1, 1, 1, 1, 1, 2}}) {
    int64_t n = 1;
    for (int64_t extent : shape) n *= extent;
    const std::vector<float> values(size_t(n), 2.5f);
    write_npy<float>(folder / "x.npy", shape, values);
    const NpyArray back = read_npy(folder / "x.npy");
    EXPECT_EQ(back.shape, shape);
    EXPECT_EQ(back.size(), n);
  }
}

TEST(Npy, VersionsAndSpellings) {
  TempFolder folder;
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);  // 1, 2
  for (int version : {1, 2, 3}) {
    const NpyArray array = read_npy(folder.write("x.npy", npy(dictionary("(2,)"), data, version)));
    EXPECT_EQ(array.shape, std::vector<int64_t>{2});
    EXPECT_EQ(array.values<float>()[1], 2.0f);
  }
  for (const char* other : {"{'shape':(2,),'fortran_order':False,'descr':'<f4'}",
                            "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (1, 2)}",
                            "{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 1 , 2 , ) , } "})
    EXPECT_EQ(read_npy(folder.write("x.npy", npy(other, data))).size(), 2) << other;
}

TEST(Npy, HalvesAreReadAsRealNumbers) {
  TempFolder folder;
  const std::vector<uint16_t> halves = {0x3c00, 0xc500, 0x7bff};
  write_npy(folder / "x.npy", DType::f16, {3}, std::as_bytes(std::span(halves)));
  const NpyArray array = read_npy(folder / "x.npy");
  EXPECT_TRUE(array.is_real());
  EXPECT_EQ(array.reals(), (std::vector<double>{1, -5, 65504}));
}

TEST(Npy, OtherFilesAreCalledByTheirName) {
  TempFolder folder;
  folder.write("x.npy", "version https://git-lfs.github.com/spec/v1\noid sha256:5a\nsize 1\n");
  expect_fault(Fault::input, "git lfs pull", [&] { read_npy(folder / "x.npy"); });
}

TEST(Npy, WrongTypeIsRefused) {
  TempFolder folder;
  write_npy<float>(folder / "x.npy", {1}, std::vector<float>{1});
  const NpyArray array = read_npy(folder / "x.npy");
  expect_fault(Fault::internal, "an array of f32 read as f64", [&] { array.values<double>(); });
}

TEST(Npy, BadHeaders) {
  TempFolder folder;
  const std::string four(4, '\0');
  const auto bad = [&](const std::string& part, const std::string& bytes) {
    SCOPED_TRACE(part);
    const auto path = folder.write("bad.npy", bytes);
    expect_fault(Fault::input, part, [&] { read_npy(path); });
    expect_fault(Fault::input, path.string(), [&] { read_npy(path); });
  };
  bad("0 bytes, too short", "");
  bad("not a .npy file", "PK\x03\x04 a zip file of some length");
  std::string version = npy(dictionary("(1,)"), four);
  version[6] = 4;
  bad(".npy version 4.0 at byte 6", version);
  version[6] = 1;
  version[7] = 1;
  bad(".npy version 1.1 at byte 6", version);
  bad("header of 20,0", npy(dictionary("(1,)") + std::string(20'000, ' '), four));
  bad("header of 4,294,967,295 bytes", std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14));
  bad("bytes at byte 10, expected 118", npy(dictionary("(1,)"), "").substr(0, 60));
  bad("expected '{'", npy("", four));
  bad("expected '{'", npy("[1, 2]", four));
  bad("big-endian elements '>f4'", npy(dictionary("(1,)", ">f4"), four));
  for (const char* type : {"|O", "<c8", "|b1", "<U4", "<u4", "", "f4", "<f44", "=f4"})
    bad(text("elements '", type, "', expected one of <f4"), npy(dictionary("(1,)", type), four));
  bad("structured elements", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", four));
  bad("Fortran order", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", four));
  bad("expected False or True", npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", four));
  bad("no 'shape'", npy("{'descr': '<f4', 'fortran_order': False, }", four));
  bad("no 'descr'", npy("{}", four));
  bad("key 'more'", npy("{'more': 1, 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", four));
  bad("a second 'descr'",
      npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", four));
  bad("more text after the dictionary", npy(dictionary("(1,)") + " x", four));
  bad("a string without an end", npy("{'descr", four));
  bad("expected '}'", npy("{'descr': '<f4' 'shape': (1,)}", four));
}

TEST(Npy, BadShapesAndLengths) {
  TempFolder folder;
  const auto bad = [&](const std::string& part, const std::string& shape, size_t bytes) {
    SCOPED_TRACE(shape);
    const auto path = folder.write("bad.npy", npy(dictionary(shape), std::string(bytes, 'x')));
    expect_fault(Fault::input, part, [&] { read_npy(path); });
  };
  bad("7 bytes of data from byte 128, expected 8", "(2,)", 7);
  bad("9 bytes of data from byte 128, expected 8", "(2,)", 9);
  bad("0 bytes of data from byte 128, expected 4", "()", 0);
  bad("4 bytes of data from byte 128, expected 0", "(5, 0)", 4);
  bad("expected an extent of 0 or more", "(-1,)", 4);
  bad("expected an extent of 0 or more", "(x,)", 4);
  bad("expected an extent of 0 or more", "(99999999999999999999,)", 4);
  bad("expected ','", "(1)", 4);
  bad("expected '('", "1", 4);
  bad("expected '('", "[1]", 4);
  bad("expected ')'", "(1, 2 3)", 8);
  bad("more than 8 dimensions", "(1,1,1,1,1,1,1,1,1)", 4);
  bad("larger than any file", "(4294967296, 4294967296)", 4);
  bad("larger than any file", "(9223372036854775807,)", 4);
  bad("expected 400,000,000,000", "(100000000000,)", 4);
  expect_fault(Fault::input, "no such file", [&] { read_npy(folder / "missing.npy"); });
  expect_fault(Fault::input, "but a folder", [&] { read_npy(folder.path()); });
}

// Whatever a damaged file says, reading it ends in an array or in Fault::input.
TEST(Npy, DamagedFiles) {
  TempFolder folder;
  const std::string good = npy(dictionary("(2, 3)"), std::string(24, 'x'));
  for (size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = good;
      damaged[i] = char(damaged[i] ^ (1 << bit));
      try {
        read_npy(folder.write("x.npy", damaged));
      } catch (const Error& error) {
        ASSERT_EQ(error.fault(), Fault::input) << error.what();
      }
    }
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_THROW(read_npy(folder.write("x.npy", good.substr(0, length))), Error);
}

TEST(Npy, WriteFailures) {
  TempFolder folder;
  const std::vector<float> values(3, 1.0f);
  expect_fault(Fault::write, "nowhere/x.npy: cannot be written, no file can be made in its folder: No such file",
               [&] { write_npy<float>(folder / "nowhere/x.npy", {3}, values); });
  expect_fault(Fault::internal, "do not fit the shape",
               [&] { write_npy<float>(folder / "x.npy", {4}, values); });
  expect_fault(Fault::internal, "arrays of bf16",
               [&] { write_npy(folder / "x.npy", DType::bf16, {6}, std::as_bytes(std::span(values))); });
  EXPECT_FALSE(std::filesystem::exists(folder / "x.npy"));
  if (std::filesystem::exists("/dev/full")) {
    expect_fault(Fault::write, "/dev/full: writing stopped at byte 0: No space left",
                 [&] { write_npy<float>("/dev/full", {3}, values); });
    EXPECT_TRUE(std::filesystem::exists("/dev/full"));
  }
}

}  // namespace
}  // namespace retort
