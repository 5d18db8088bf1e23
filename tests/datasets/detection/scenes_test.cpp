#include "datasets/detection/open_detection.h"
#include "datasets/detection/scenes.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/atomic_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::expect_fault;
using testing::TempFolder;

double overlap(const CocoRect& a, const CocoRect& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x),
               height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  return width * height / (a.width * a.height + b.width * b.height - width * height);
}

TEST(Scenes, AreWhatTheirPageSays) {
  const DetectionData data = open_detection("scenes:train=400,test=60");
  EXPECT_EQ(data.categories.size(), 24u);
  EXPECT_EQ(data.categories[19].name, "striped star");
  EXPECT_EQ(data.train.size(), 400);
  EXPECT_EQ(data.test.size(), 60);
  EXPECT_TRUE(data.notes.empty());
  int crowds = 0, small = 0, figures = 0;
  std::set<int64_t> classes;
  std::vector<std::vector<CocoRect>> of_image(401);
  for (const CocoAnnotation& a : data.train.annotations.annotations) {
    classes.insert(a.category);
    EXPECT_GE(a.box.x, 0);
    EXPECT_GE(a.box.y, 0);
    EXPECT_LE(a.box.x + a.box.width, 128);
    EXPECT_LE(a.box.y + a.box.height, 128);
    EXPECT_GT(a.area, 0);
    EXPECT_LE(a.area, a.box.width * a.box.height);
    crowds += a.crowd;
    if (a.crowd) continue;
    ++figures;
    const double longer = std::max(a.box.width, a.box.height);
    EXPECT_GE(longer, 14);
    EXPECT_LE(longer, 80);
    small += longer < 33;  // the middle of 14 and 80 in the logarithm
    of_image[size_t(a.image)].push_back(a.box);
  }
  EXPECT_EQ(classes.size(), 24u);
  EXPECT_GE(crowds, 3);
  EXPECT_LE(crowds, 30);
  EXPECT_GT(figures, 400 * 2);
  EXPECT_GT(small, figures * 2 / 5);
  EXPECT_LT(small, figures * 3 / 4);
  for (int i = 1; i <= 400; ++i) {
    const auto& boxes = of_image[size_t(i)];
    EXPECT_GE(boxes.size(), 1u) << i;
    EXPECT_LE(boxes.size(), 6u) << i;
    for (size_t a = 0; a < boxes.size(); ++a)
      for (size_t b = 0; b < a; ++b) EXPECT_LE(overlap(boxes[a], boxes[b]), 0.3 + 1e-6);
  }
}

TEST(Scenes, StatisticsAreThoseThatNetworksSeeThemWith) {
  const DetectionData data = open_detection("scenes:train=200,test=1");
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0, n = 0;
    for (int64_t i = 0; i < data.train.size(); ++i) {
      const Image image = data.train.picture(i);
      for (size_t k = c; k < image.pixels.size(); k += 3) {
        const double v = image.pixels[k] / 255.0;
        sum += v;
        squares += v * v;
        ++n;
      }
    }
    const double mean = sum / n;
    EXPECT_NEAR(mean, double(data.mean[c]), 0.01);
    EXPECT_NEAR(std::sqrt(squares / n - mean * mean), double(data.stddev[c]), 0.01);
  }
}

TEST(Scenes, APictureIsAFunctionOfSeedPartAndNumber) {
  const DetectionData large = open_detection("scenes:train=20,test=12"),
                      small = open_detection("scenes:test=5,train=7");
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(small.train.picture(i).pixels, large.train.picture(i).pixels);
  EXPECT_EQ(small.test.picture(3).pixels, large.test.picture(3).pixels);
  EXPECT_NE(large.test.picture(3).pixels, large.train.picture(3).pixels);
  EXPECT_NE(open_detection("scenes:train=1,test=1,seed=2").hash(),
            open_detection("scenes:train=1,test=1").hash());
  EXPECT_EQ(open_detection("scenes:test=12", {}, Parts::test).test.picture(11).pixels,
            large.test.picture(11).pixels);
}

// A change of the drawing is a change of every published result.
TEST(Scenes, SameBytesEverywhere) {
  const DetectionData data = open_detection("scenes:train=16,test=4");
  uint64_t sum = 14695981039346656037u;
  for (const DetectionPart* part : {&data.train, &data.test})
    for (int64_t i = 0; i < part->size(); ++i)
      for (const uint8_t byte : part->picture(i).pixels) sum = (sum ^ byte) * 1099511628211u;
  EXPECT_EQ(sum, 0x9be735bc617e3beau);
  EXPECT_EQ(data.hash(), 0x84d1cdcddf9f6f3bu);
}

TEST(Scenes, ExportedTheyAreTheSameAsCocosFiles) {
  const TempFolder folder;
  const DetectionData data = open_detection("scenes:train=3,test=2");
  export_coco(data, folder.path());
  const DetectionData again = open_detection("coco:" + folder.path().string());
  EXPECT_EQ(again.categories.size(), 24u);
  ASSERT_EQ(again.train.size(), 3);
  ASSERT_EQ(again.test.size(), 2);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(again.train.picture(i).pixels, data.train.picture(i).pixels);
  ASSERT_EQ(again.test.annotations.annotations.size(), data.test.annotations.annotations.size());
  for (size_t i = 0; i < data.test.annotations.annotations.size(); ++i) {
    const CocoAnnotation &a = again.test.annotations.annotations[i],
                         &b = data.test.annotations.annotations[i];
    EXPECT_EQ(a.category, b.category);
    EXPECT_EQ(a.box.width, b.box.width);
    EXPECT_EQ(a.area, b.area);
  }
}

class CocoFolder : public ::testing::Test {
 protected:
  // A folder with one good part of two pictures for both keys, changed by `change` on the JSON's text.
  std::string write(const std::string& annotations, const std::string& images = two_images) {
    std::filesystem::create_directories(folder.path() / "images");
    const DetectionData data = open_detection("scenes:train=1,test=1");
    if (!std::filesystem::exists(folder.path() / "images" / "a.png")) {
      export_coco(data, folder.path());
      std::filesystem::copy(folder.path() / "train2017" / "000001.png", folder.path() / "images" / "a.png");
      std::filesystem::copy(folder.path() / "val2017" / "000001.png", folder.path() / "images" / "b.png");
    }
    write_file(folder.path() / "all.json",
               R"({"images":[)" + images + R"(],"annotations":[)" + annotations +
                   R"(],"categories":[{"id":9,"name":"late"},{"id":4,"name":"early"}]})");
    return "coco:" + folder.path().string();
  }
  DetectionData open(const std::string& spec, Parts parts = Parts::both) {
    return open_detection(spec, {"all.json", "all.json", "images"}, parts);
  }
  static constexpr const char* two_images =
      R"({"id":70,"file_name":"b.png","height":128,"width":128},{"id":5,"file_name":"a.png"})";
  TempFolder folder;
};

TEST_F(CocoFolder, LearnsFromBoxesInsideThePicture) {
  const DetectionData data = open(write(
      R"({"id":1,"image_id":5,"category_id":9,"bbox":[100,-20,50,60]},
         {"id":2,"image_id":5,"category_id":4,"bbox":[3,4,0,7]},
         {"id":3,"image_id":5,"category_id":4,"bbox":[200,4,10,7]},
         {"id":4,"image_id":70,"category_id":4,"bbox":[3,4,10,7],"iscrowd":1})"));
  EXPECT_EQ(data.train.annotations.images[0].width, 128) << "as its picture says";
  const auto objects = objects_of(data.train);
  ASSERT_EQ(objects.size(), 2u);
  ASSERT_EQ(objects[0].size(), 1u) << "the box of side 0 and the one outside are dropped";
  EXPECT_EQ(objects[0][0].label, 1) << "categories are numbered by ascending id";
  EXPECT_EQ(objects[0][0].box.x, 100);
  EXPECT_EQ(objects[0][0].box.y, 0);
  EXPECT_EQ(objects[0][0].box.width, 28);
  EXPECT_EQ(objects[0][0].box.height, 40);
  EXPECT_TRUE(objects[1].empty()) << "a crowd";
  ASSERT_EQ(data.notes.size(), 2u);
  EXPECT_NE(data.notes[0].find("1 box has a side of 0"), std::string::npos) << data.notes[0];
  EXPECT_NE(data.notes[0].find("annotation id 2"), std::string::npos) << data.notes[0];
  EXPECT_NE(data.notes[1].find("1 box lies outside its picture"), std::string::npos) << data.notes[1];
  EXPECT_NE(data.notes[1].find("annotation id 3"), std::string::npos) << data.notes[1];
}

TEST_F(CocoFolder, Refusals) {
  const std::string good = R"({"id":1,"image_id":5,"category_id":9,"bbox":[10,20,50,60]})";
  expect_fault(Fault::input, "there is no box to learn from", [&] { open(write("")); });
  EXPECT_NO_THROW(open(write(""), Parts::test)) << "a test part may have none";
  expect_fault(Fault::input, "(image id 6): no such file",
               [&] { open(write(good, R"({"id":5,"file_name":"a.png"},{"id":6,"file_name":"c.png"})")); });
  expect_fault(Fault::input, "(image id 6): is no file",
               [&] { open(write(good, R"({"id":5,"file_name":"a.png"},{"id":6,"file_name":"."})")); });
  expect_fault(Fault::input, "says 20000 x 300 pixels, expected at most 16384 along a side",
               [&] { open(write(good, R"({"id":5,"file_name":"a.png","height":300,"width":20000})")); });
  expect_fault(Fault::input, "image id 5 has no file_name", [&] { open(write(good, R"({"id":5})")); });
  const DetectionData data = open(write(good, R"({"id":5,"file_name":"a.png","height":128,"width":120})"));
  expect_fault(Fault::input, "(image id 5): the picture is 128 x 128, its annotation says 120 x 128",
               [&] { data.train.picture(0); });
  expect_fault(Fault::input, "no such folder", [] { open_detection("coco:/nowhere"); });
  expect_fault(Fault::usage, "expected scenes[:train=N,test=N,seed=N] or coco:DIR",
               [] { open_detection("coco"); });
  expect_fault(Fault::usage, "data set 'scenes:tain=1'", [] { open_detection("scenes:tain=1"); });
}

}  // namespace
}  // namespace retort
