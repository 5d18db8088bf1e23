// Boxes and names on pictures: names of any bytes, pictures of any size, and the files they go to.
#include "distill/detection/drawing.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "datasets/formats/png_writer.h"
#include "engine/base/check.h"
#include "tests/support/temp_folder.h"

namespace retort {
namespace {

using testing::TempFolder;

Image grey(int height, int width) {
  return {height, width, std::vector<uint8_t>(size_t(height) * size_t(width) * 3, 90)};
}

Image labelled(const std::string& label, int height = 64, int width = 400) {
  return with_boxes(grey(height, width), {{{10, 30, 50, 20}, label, 2}});
}

bool is_white(const Image& image, int y, int x) {
  const auto pixel = image.pixels.begin() + (int64_t(y) * image.width + x) * 3;
  return std::all_of(pixel, pixel + 3, [](uint8_t byte) { return byte == 255; });
}

// Rows and columns from the first to the last that a letter touches.
std::pair<int, int> extent_of_letters(const Image& image) {
  int top = image.height, bottom = -1, left = image.width, right = -1;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      if (!is_white(image, y, x)) continue;
      top = std::min(top, y), bottom = std::max(bottom, y);
      left = std::min(left, x), right = std::max(right, x);
    }
  return {bottom - top + 1, right - left + 1};
}

TEST(Drawing, NamesBecomeLettersThatThereAre) {
  const std::pair<std::string, std::string> expected[] = {
      {"cat 98 %", "cat 98 %"},
      {"Eisb\xc3\xa4r", "Eisbar"},
      {"Stra\xc3\x9f"
       "e",
       "Strasse"},
      {"\xc3\x85ngstr\xc3\xb6m \xc5\x81\xc3\xb3"
       "d\xc5\xba",
       "Angstrom Lodz"},
      {"Eisba\xcc\x88r", "Eisbar"},                             // a, and two dots over it
      {"\xe7\x8c\xab", "?"},                                    // one of CJK
      {"\xe8\xb5\xa4\xe8\xa1\x80\xe7\x90\x83 1 %", "??? 1 %"},  // three
      {"\xf0\x9f\x90\x88!", "?!"},                              // one of four bytes
      {"\xc2\xb5m", "?m"},                                      // no letter of Latin
      {"a\tb\nc\x01"
       "d\x7f",
       "a?b?c?d?"},  // control bytes
      {std::string("a\0b", 3), "a?b"},
      {"a\xff"
       "b",
       "a?b"},        // no UTF-8
      {"\xc3", "?"},  // cut off
      {"\xe7\x8c"
       "x",
       "?x"},
      {"x\x80\x80y", "x?y"},  // bytes without a first
      {"\xc0\xaf", "?"},      // overlong
      {"\xed\xa0\x80", "?"},  // a surrogate
      {"", ""}};
  for (const auto& [name, letters] : expected) EXPECT_EQ(drawable(name), letters) << name;
}

TEST(Drawing, AnyBytesAreDrawnAsTheirLetters) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = {'a', char(byte), 'b'};
    EXPECT_EQ(labelled(name).pixels, labelled(drawable(name)).pixels) << byte;
  }
  for (const char* name :
       {"Eisb\xc3\xa4r", "\xe8\xb5\xa4\xe8\xa1\x80\xe7\x90\x83", "\x7f\x01\n", "\xff\xc3"}) {
    const Image image = labelled(name);
    EXPECT_EQ(image.pixels, labelled(drawable(name)).pixels);
    const TempFolder folder;
    write_png(folder / "drawn.png", image);
    EXPECT_EQ(read_image(folder / "drawn.png").pixels, image.pixels);
  }
}

// Some letters are made of many strokes; none of them may be lost.
TEST(Drawing, LongNamesAreDrawnToTheirEnds) {
  const auto width = [](size_t letters) {
    return extent_of_letters(labelled(std::string(letters, 'X'), 64, 4000)).second;
  };
  const int each = width(2) - width(1);
  EXPECT_EQ(width(40) - width(1), 39 * each);
}

TEST(Drawing, LabelsCanBeReadAtAnySize) {
  for (const auto& [height, width] : {std::pair(1, 1),
                                      {7, 9},
                                      {64, 64},
                                      {128, 96},
                                      {250, 250},
                                      {479, 300},
                                      {480, 640},
                                      {900, 1279},
                                      {4000, 3000}}) {
    SCOPED_TRACE(text(height, " x ", width));
    const Image image = with_boxes(grey(height, width), {{{0, 0, double(width), double(height)}, "H", 0}});
    EXPECT_GE(std::max(image.height, image.width), 640);
    EXPECT_EQ(image.height * width, image.width * height);
    const int letter = extent_of_letters(image).first, longer = std::max(image.height, image.width);
    EXPECT_GE(letter, 12);                      // pixels
    EXPECT_GE(letter * 100, longer) << letter;  // when the picture is made to fit a screen
    EXPECT_LE(letter * 40, longer) << letter;
  }
}

// Boxes that leave the picture, or are none, do no harm.
TEST(Drawing, BoxesOutsideThePicture) {
  const CocoRect boxes[] = {{-500, -500, 2000, 2000}, {1000, 1000, 5, 5}, {3, 3, 0, 0}, {-1e5, 5, 2e5, 1}};
  for (const CocoRect& box : boxes) {
    const Image image =
        with_boxes(grey(50, 60), {{box, "a name longer than the picture is wide, by far", 1}});
    EXPECT_EQ(image.pixels.size(), size_t(image.height) * size_t(image.width) * 3);
  }
}

std::vector<std::string> names_of(const std::vector<std::string>& files) {
  std::vector<CocoImage> images;
  for (const std::string& file : files) images.push_back({int64_t(images.size()) + 1, file, 1, 1});
  return drawn_names(images);
}

TEST(Drawing, FilesOfOneNameAreToldApartByTheirIds) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(names_of({"p/a/x.jpg", "y.b.png", "z"}), (Names{"x.png", "y.b.png", "z.png"}));
  EXPECT_EQ(names_of({"p/a/x.jpg", "p/b/x.jpg", "y.jpg"}), (Names{"x-1.png", "x-2.png", "y.png"}));
  EXPECT_EQ(names_of({"x.jpg", "x.png"}), (Names{"x-1.png", "x-2.png"}));
  // A name that is taken is nobody else's.
  EXPECT_EQ(names_of({"x.jpg", "x.png", "x-1.jpg", "x-2.jpg", "a/x-2.jpg"}),
            (Names{"x-1-1.png", "x-2.png", "x-1.png", "x-2-4.png", "x-2-5.png"}));
}

}  // namespace
}  // namespace retort
