// The readers of CIFAR-10 and CIFAR-100, and opening data sets by name.
#include "datasets/readers/cifar.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "datasets/open.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::expect_fault;
using testing::TempFolder;

constexpr int64_t row100 = 3074, row10 = 3073;

void put(const std::filesystem::path& file, int64_t at, const std::string& bytes) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(at);
  stream << bytes;
}

TEST(Cifar, PixelsAndLabels) {
  TempFolder folder;
  const auto test = folder.zeros("test.bin", 30'740'000);
  // Row 3: coarse 7, fine 99, and a pixel at y = 2, x = 5 in each plane.
  put(test, 3 * row100, std::string("\x07\x63", 2));
  put(test, 3 * row100 + 2 + 2 * 32 + 5, "\x0a");
  put(test, 3 * row100 + 2 + 1024 + 2 * 32 + 5, "\x14");
  put(test, 3 * row100 + 2 + 2048 + 2 * 32 + 5, "\xff");
  const DataSet data = read_cifar100(folder.path(), Parts::test);
  EXPECT_EQ(data.name, "cifar100");
  EXPECT_EQ(data.train.size(), 0);
  ASSERT_EQ(data.test.size(), 10000);
  EXPECT_EQ(data.test.classes, 100);
  EXPECT_EQ(data.test.height, 32);
  EXPECT_EQ(data.test.image_bytes(), 3072);
  EXPECT_EQ(data.test.labels[3], 99);
  EXPECT_EQ(std::count(data.test.labels.begin(), data.test.labels.end(), 0), 9999);
  const uint8_t* pixel = data.test.image(3) + (2 * 32 + 5) * 3;
  EXPECT_EQ(pixel[0], 10);
  EXPECT_EQ(pixel[1], 20);
  EXPECT_EQ(pixel[2], 255);
  EXPECT_EQ(std::count(data.test.images.begin(), data.test.images.end(), 0), 30'720'000 - 3);
  EXPECT_EQ(data.test.class_names[42], "42") << "no fine_label_names.txt";
  EXPECT_FLOAT_EQ(data.test.mean[0], .5071f);
}

TEST(Cifar, Cifar100WholeAndInTheArchivesFolder) {
  TempFolder folder;
  folder.zeros("cifar-100-binary/train.bin", 153'700'000);
  folder.zeros("cifar-100-binary/test.bin", 30'740'000);
  std::string names;
  for (int c = 0; c < 100; ++c) names += text("name", c, "\n");
  folder.write("cifar-100-binary/fine_label_names.txt", names + "\n");
  const DataSet data = open_dataset("cifar100:" + folder.path().string());
  EXPECT_EQ(data.train.size(), 50000);
  EXPECT_EQ(data.test.size(), 10000);
  EXPECT_EQ(data.train.class_names[99], "name99");

  folder.write("cifar-100-binary/fine_label_names.txt", names + "one more\n");
  expect_fault(Fault::input, "fine_label_names.txt: 101 class names, expected 100",
               [&] { read_cifar100(folder.path()); });
}

TEST(Cifar, Cifar10) {
  TempFolder folder;
  for (int i = 1; i <= 5; ++i) {
    const auto file = folder.zeros(text("cifar-10-batches-bin/data_batch_", i, ".bin"), 30'730'000);
    put(file, 9999 * row10, std::string(1, char(i)));
  }
  const auto test = folder.zeros("cifar-10-batches-bin/test_batch.bin", 30'730'000);
  folder.write("cifar-10-batches-bin/batches.meta.txt",
               "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  const DataSet data = open_dataset("cifar10:" + folder.path().string());
  EXPECT_EQ(data.train.size(), 50000);
  EXPECT_EQ(data.train.classes, 10);
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(data.train.labels[size_t(i * 10000 - 1)], i);
  EXPECT_EQ(data.test.class_names[9], "truck");
  EXPECT_FLOAT_EQ(data.test.stddev[2], .2616f);

  put(test, 4 * row10, "\x0a");
  expect_fault(Fault::input, "test_batch.bin: label 10 at byte 12,292, expected 0 to 9",
               [&] { read_cifar10(folder.path(), Parts::test); });
  std::filesystem::remove(folder / "cifar-10-batches-bin/data_batch_3.bin");
  expect_fault(Fault::input, "data_batch_3.bin: no such file", [&] { read_cifar10(folder.path()); });
}

TEST(Cifar, AnyNumberOfRows) {
  TempFolder folder;
  folder.zeros("train.bin", 7 * row100);
  folder.zeros("test.bin", 3 * row100);
  const DataSet data = read_cifar100(folder.path());
  EXPECT_EQ(data.train.size(), 7);
  EXPECT_EQ(data.test.size(), 3);
  EXPECT_EQ(data.train.images.size(), 7u * 3072);
}

TEST(Cifar, WrongSizes) {
  TempFolder folder;
  folder.zeros("test.bin", 30'740'000);
  for (const uintmax_t bytes : {uintmax_t(153'699'999), uintmax_t(153'700'001), uintmax_t(0)}) {
    folder.zeros("train.bin", bytes);
    expect_fault(Fault::input,
                 text("train.bin: ",
                      bytes == 0            ? "0"
                      : bytes < 153'700'000 ? "153,699,999"
                                            : "153,700,001",
                      " bytes, expected a multiple of 3,074"),
                 [&] { read_cifar100(folder.path()); });
  }
}

uint8_t python_pixel(int64_t image, int64_t at) {
  const int64_t i = image * 3072 + at;
  return uint8_t((i * 31 + i / 1024 * 7) % 256);
}

void expect_python_pixels(const ImageSet& set, int64_t image, int64_t place) {
  for (int64_t p = 0; p < 1024; ++p)
    for (int64_t c = 0; c < 3; ++c)
      ASSERT_EQ(set.image(place)[3 * p + c], python_pixel(image, 1024 * c + p)) << image << ", pixel " << p;
}

// The archives for Python; data/python_cifar.py made the files, each batch in another protocol.
TEST(Cifar, PythonsPickles) {
  const auto folder = std::filesystem::path(testing::data_folder()) / "python_cifar";
  for (const auto& place : {folder, folder / "cifar-10-batches-py"}) {
    const DataSet ten = open_dataset("cifar10:" + place.string());
    ASSERT_EQ(ten.train.size(), 10);
    EXPECT_EQ(ten.train.labels, (std::vector<int32_t>{1, 8, 2, 7, 3, 6, 4, 5, 5, 4}));
    EXPECT_EQ(ten.train.class_names[9], "truck");
    for (int64_t i = 0; i < 10; ++i) expect_python_pixels(ten.train, i, i);
    expect_python_pixels(ten.test, 100, 0);
    EXPECT_FLOAT_EQ(ten.test.stddev[2], .2616f);
  }
  const DataSet hundred = open_dataset("cifar100:" + folder.string());
  EXPECT_EQ(hundred.train.labels, (std::vector<int32_t>{7, 99, 0}));
  EXPECT_EQ(hundred.test.labels, (std::vector<int32_t>{42}));
  EXPECT_EQ(hundred.train.class_names[42], "fine42");
  expect_python_pixels(hundred.train, 2, 2);
  expect_python_pixels(hundred.test, 100, 0);
}

TEST(Cifar, BadPickles) {
  TempFolder folder;
  const auto file = folder / "train";
  folder.write("test", "");
  expect_fault(Fault::input, "test", [&] { read_cifar100(folder.path(), Parts::test); });
  const std::string good = [] {
    std::ifstream in(std::filesystem::path(testing::data_folder()) / "python_cifar/cifar-100-python/train",
                     std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(in)), {});
  }();
  for (size_t cut = 0; cut < good.size(); cut += 1 + good.size() / 90) {
    folder.write("train", good.substr(0, cut));
    expect_fault(Fault::input, "train", [&] { read_cifar100(folder.path()); });
  }
  std::string other = good;
  other.replace(other.find("data"), 4, "atad");
  folder.write("train", other);
  expect_fault(Fault::input, "no dict of 'data' and 'fine_labels'", [&] { read_cifar100(folder.path()); });
  other = good;
  other.replace(other.find("_reconstruct"), 12, "_xeconstruct");
  folder.write("train", other);
  expect_fault(Fault::input, "'data' is no array", [&] { read_cifar100(folder.path()); });
}

TEST(Cifar, LabelsOutOfRange) {
  TempFolder folder;
  const auto test = folder.zeros("test.bin", 30'740'000);
  put(test, 9999 * row100 + 1, "\xc8");
  expect_fault(Fault::input, "test.bin: label 200 at byte 30,736,927, expected 0 to 99",
               [&] { read_cifar100(folder.path(), Parts::test); });
  put(test, 5 * row100, "\x14");
  expect_fault(Fault::input, "test.bin: label 20 at byte 15,370, expected 0 to 19",
               [&] { read_cifar100(folder.path(), Parts::test); });
}

TEST(Cifar, MissingFoldersAndFiles) {
  TempFolder folder;
  expect_fault(Fault::input, "no folder " + (folder / "nowhere").string(),
               [&] { read_cifar100(folder / "nowhere"); });
  expect_fault(Fault::input, "holds neither train.bin nor cifar-100-binary/train.bin",
               [&] { read_cifar100(folder.path()); });
  expect_fault(Fault::input, "is not a folder", [&] { read_cifar10(folder.write("file", "")); });
  folder.zeros("train.bin", 153'700'000);
  expect_fault(Fault::input, "test.bin: no such file", [&] { read_cifar100(folder.path(), Parts::test); });
  std::filesystem::create_directory(folder / "test.bin");
  expect_fault(Fault::input, "test.bin: not a regular file but a folder",
               [&] { read_cifar100(folder.path(), Parts::test); });
}

TEST(OpenDataset, UnknownNames) {
  expect_fault(Fault::usage,
               "'imagenet:/data' is not known; expected synthetic[:train=N,test=N,seed=N], cifar100:DIR, "
               "cifar10:DIR, folder:DIR, "
               "pack:FILE, npy:DIR, scenes[:train=N,test=N,seed=N], coco:DIR",
               [] { open_dataset("imagenet:/data"); });
  expect_fault(Fault::usage, "expected cifar100:DIR", [] { open_dataset("cifar100"); });
  expect_fault(Fault::usage, "expected cifar10:DIR", [] { open_dataset("cifar10:"); });
  expect_fault(Fault::usage, "is not known", [] { open_dataset(""); });
}

TEST(DataSetHash, SeesEveryPart) {
  TempFolder folder;
  const auto test = folder.zeros("test.bin", 30'740'000);
  const auto hash = [&] { return read_cifar100(folder.path(), Parts::test).hash(); };
  const uint64_t plain = hash();
  EXPECT_EQ(hash(), plain);
  put(test, 1, "\x01");
  const uint64_t label = hash();
  EXPECT_NE(label, plain);
  put(test, 1, std::string(1, '\0'));
  put(test, 30'740'000 - 1, "\x01");
  EXPECT_NE(hash(), plain);
  EXPECT_NE(hash(), label);

  DataSet only_train, only_test;
  only_train.train = only_test.test = read_cifar100(folder.path(), Parts::test).test;
  EXPECT_NE(only_train.hash(), only_test.hash());
}

// On the real data: RETORT_CIFAR100 names its folder.
TEST(Cifar, RealCifar100) {
  const char* folder = std::getenv("RETORT_CIFAR100");
  if (!folder) GTEST_SKIP() << "RETORT_CIFAR100 is not set";
  const DataSet data = read_cifar100(folder);
  for (const auto& [set, per_class] : {std::pair{&data.train, 500}, std::pair{&data.test, 100}}) {
    ASSERT_EQ(set->size(), per_class * 100);
    for (int c = 0; c < 100; ++c) EXPECT_EQ(std::count(set->labels.begin(), set->labels.end(), c), per_class);
  }
  EXPECT_EQ(data.train.class_names.front(), "apple");
  EXPECT_EQ(data.train.class_names.back(), "worm");
  // The constants of the recipe are the statistics of the training images, rounded.
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    for (size_t i = c; i < data.train.images.size(); i += 3) {
      const double v = data.train.images[i] / 255.0;
      sum += v;
      squares += v * v;
    }
    const double n = double(data.train.images.size()) / 3, mean = sum / n;
    EXPECT_NEAR(mean, double(data.train.mean[c]), 1e-3);
    EXPECT_NEAR(std::sqrt(squares / n - mean * mean), double(data.train.stddev[c]), 1e-3);
  }
}

}  // namespace
}  // namespace retort
