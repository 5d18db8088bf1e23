// Pictures as cameras, telephones and printers leave them, damaged ones, and those that cannot be read here;
// data/images/odd_images.py made the files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "datasets/formats/image_file.h"
#include "datasets/formats/picture_parts.h"
#include "engine/base/file.h"
#include "engine/base/zip_archive.h"
#include "tests/support/expect_error.h"
#include "tests/support/paths.h"

namespace retort {
namespace {

using testing::expect_fault;
using Bytes = std::vector<uint8_t>;

Bytes bytes_of(const std::string& name) {
  return InputFile(std::filesystem::path(testing::data_folder()) / "images" / name).read_all(1 << 20);
}

Bytes bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

Bytes with(Bytes file, size_t at, const Bytes& inserted) {
  file.insert(file.begin() + std::ptrdiff_t(at), inserted.begin(), inserted.end());
  return file;
}

size_t place_of(const Bytes& file, const Bytes& part) {
  return size_t(std::search(file.begin(), file.end(), part.begin(), part.end()) - file.begin());
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.width, b.width);
  if (a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
  return largest;
}

void put(Bytes& to, uint32_t value, int count, bool little) {
  for (int i = 0; i < count; ++i) to.push_back(uint8_t(value >> (8 * (little ? i : count - 1 - i))));
}

// A TIFF header and a directory of three entries, the orientation in the middle.
Bytes exif(uint32_t orientation, bool little, uint32_t type = 3) {
  Bytes block = bytes(little ? "II" : "MM");
  put(block, 42, 2, little);
  put(block, 8, 4, little);
  put(block, 3, 2, little);
  for (uint32_t tag : {0x010fu, 0x0112u, 0x0131u}) {
    put(block, tag, 2, little);
    put(block, tag == 0x0112 ? type : 3, 2, little);
    put(block, 1, 4, little);
    const bool is_short = type == 3 || tag != 0x0112;
    put(block, tag == 0x0112 ? orientation : 9, is_short ? 2 : 4, little);
    if (is_short) put(block, 0, 2, little);
  }
  put(block, 0, 4, little);
  return block;
}

// With an APP1 segment behind the beginning.
Bytes with_exif(const Bytes& jpeg, const Bytes& block) {
  Bytes segment = {0xff, 0xe1};
  put(segment, uint32_t(8 + block.size()), 2, false);
  for (uint8_t c : {'E', 'x', 'i', 'f', '\0', '\0'}) segment.push_back(c);
  segment.insert(segment.end(), block.begin(), block.end());
  return with(jpeg, 2, segment);
}

Bytes chunk(const std::string& type, const Bytes& data) {
  Bytes all;
  put(all, uint32_t(data.size()), 4, false);
  Bytes covered = bytes(type);
  covered.insert(covered.end(), data.begin(), data.end());
  all.insert(all.end(), covered.begin(), covered.end());
  put(all, crc32(std::as_bytes(std::span(covered))), 4, false);
  return all;
}

constexpr size_t behind_png_header = 33;

TEST(OddPictures, CmykAndRgbJpegsAsPillowReadsThem) {
  for (const char* name : {"cmyk-adobe", "cmyk-unmarked", "ycck", "rgb-names", "rgb-names-jfif"}) {
    const Image found = decode_image(bytes_of(std::string(name) + ".jpg"), name);
    EXPECT_LE(largest_difference(found, decode_image(bytes_of(std::string(name) + "-right.png"), name)), 3)
        << name;
  }
}

TEST(OddPictures, WhatFollowsThePictureHasNoSay) {
  for (const char* name : {"picture.jpg", "progressive.jpg", "picture.png"}) {
    const Bytes plain = bytes_of(name);
    const Image right = decode_image(plain, name);
    // A video whose bytes look like a Huffman table of too many symbols, another picture, a cut chunk.
    for (const Bytes& trailer : {Bytes{0xff, 0xc4, 0xff, 0xff, 0,   255, 255, 255, 255, 255, 255, 255,
                                       255,  255,  255,  255,  255, 255, 255, 255, 255, 1,   2,   3},
                                 plain,
                                 bytes("\0\0\0\x18"
                                       "ftypmp42"),
                                 Bytes(3, 0xff), bytes_of("picture.png")}) {
      EXPECT_EQ(largest_difference(decode_image(with(plain, plain.size(), trailer), name), right), 0) << name;
    }
  }
}

TEST(OddPictures, BytesBetweenSegmentsAreSkipped) {
  const Bytes plain = bytes_of("picture.jpg");
  const Image right = decode_image(plain, "plain");
  EXPECT_EQ(
      largest_difference(
          decode_image(with(plain, place_of(plain, {0xff, 0xdb}), {0, 0, 0xff, 0xff}), "padded"), right),
      0);
}

// Of a picture of 3 x 2 pixels what is to be seen, by the corner that its first row and column lie at.
TEST(OddPictures, EveryOrientationIsTurnedUpright) {
  const auto picture = [](std::vector<std::string> rows, int orientation) {
    Image image{int(rows.size()), int(rows[0].size()), {}, orientation};
    for (const std::string& row : rows)
      for (char c : row) image.pixels.insert(image.pixels.end(), {uint8_t(c), uint8_t(c + 1), 7});
    return image;
  };
  const std::vector<std::string> seen[] = {{"abc", "def"},     {"cba", "fed"},     {"fed", "cba"},
                                           {"def", "abc"},     {"ad", "be", "cf"}, {"da", "eb", "fc"},
                                           {"fc", "eb", "da"}, {"cf", "be", "ad"}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image found = upright(picture({"abc", "def"}, orientation));
    EXPECT_EQ(largest_difference(found, picture(seen[orientation - 1], 1)), 0) << orientation;
    EXPECT_EQ(found.orientation, 1);
  }
}

TEST(OddPictures, OrientationIsReadFromJpegAndPng) {
  const Bytes jpeg = bytes_of("picture.jpg"), png = bytes_of("picture.png");
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    for (bool little : {true, false}) {
      EXPECT_EQ(decode_image(with_exif(jpeg, exif(orientation, little)), "j").orientation, int(orientation));
      EXPECT_EQ(decode_image(with_exif(jpeg, exif(orientation, little, 4)), "j").orientation,
                int(orientation));
      const Bytes with_chunk = with(png, behind_png_header, chunk("eXIf", exif(orientation, little)));
      EXPECT_EQ(decode_image(with_chunk, "p").orientation, int(orientation));
    }
  }
  EXPECT_EQ(decode_image(jpeg, "j").orientation, 1);
  // What is no orientation is none; whatever is cut off, nothing is read outside.
  for (uint32_t bad : {0u, 9u, 0xffffu}) EXPECT_EQ(exif_orientation(exif(bad, true)), 1);
  EXPECT_EQ(exif_orientation(exif(6, true, 2)), 1);
  const Bytes whole = exif(6, false);
  for (size_t size = 0; size < whole.size(); ++size) {
    const int found = exif_orientation(std::span(whole).first(size));
    EXPECT_TRUE(found == 1 || found == 6);
  }
  Bytes far = whole;
  far[4] = 0xff;
  EXPECT_EQ(exif_orientation(far), 1);
}

TEST(OddPictures, EveryFlippedBitOfAPngIsFound) {
  for (const char* name : {"picture.png", "alpha.png", "deep.png", "grey.png"}) {
    const Bytes plain = bytes_of(name);
    for (size_t bit = 0; bit < 8 * plain.size(); ++bit) {
      Bytes damaged = plain;
      damaged[bit / 8] ^= uint8_t(1u << (bit % 8));
      EXPECT_THROW(decode_image(damaged, name), Error) << name << ", bit " << bit;
    }
  }
}

TEST(OddPictures, PngChecksumsAreNamed) {
  const Bytes png = bytes_of("picture.png");
  const size_t data = place_of(png, bytes("IDAT"));
  Bytes damaged = png;
  damaged[data + 10] ^= 4;
  expect_fault(Fault::input, "chunk IDAT at byte", [&] { decode_image(damaged, "p.png"); });
  expect_fault(Fault::input, "has the CRC", [&] { decode_image(damaged, "p.png"); });
  // A chunk that no decoder looks at counts, too.
  Bytes text = chunk("tEXt", bytes("Comment is here"));
  text[12] ^= 1;
  expect_fault(Fault::input, "chunk tEXt",
               [&] { decode_image(with(png, behind_png_header, text), "p.png"); });

  // zlib's own sum behind the pixels, under a right CRC.
  const PngParts parts = png_parts(png, "p.png");
  Bytes wrong_sum = parts.compressed;
  wrong_sum.back() ^= 1;
  Bytes header(png.begin(), png.begin() + behind_png_header), end = chunk("IEND", {});
  const auto around = [&](const Bytes& compressed) {
    Bytes all = with(header, header.size(), chunk("IDAT", compressed));
    return with(all, all.size(), end);
  };
  EXPECT_NO_THROW(decode_image(around(parts.compressed), "p.png"));
  EXPECT_NO_THROW(decode_image(around(with(parts.compressed, parts.compressed.size(), {0, 0, 0})), "p.png"));
  expect_fault(Fault::input, "checksum (Adler-32)", [&] { decode_image(around(wrong_sum), "p.png"); });
}

TEST(OddPictures, PngChunks) {
  const Bytes png = bytes_of("picture.png");
  const Image right = decode_image(png, "p.png");
  const auto having = [&](const std::string& type) {
    return with(png, behind_png_header, chunk(type, {1, 2}));
  };
  EXPECT_EQ(largest_difference(decode_image(having("teSt"), "p.png"), right), 0);
  expect_fault(Fault::input, "its chunk TeSt", [&] { decode_image(having("TeSt"), "p.png"); });
  expect_fault(Fault::input, "iPhone", [&] { decode_image(having("CgBI"), "p.png"); });
  expect_fault(Fault::input, "was it cut?",
               [&] { decode_image(Bytes(png.begin(), png.end() - 12), "p.png"); });
}

TEST(OddPictures, AnUnsupportedJpegSaysWhichKindItIs) {
  const Bytes jpeg = bytes_of("picture.jpg");
  const size_t frame = place_of(jpeg, {0xff, 0xc0});
  const auto kind = [&](size_t offset, uint8_t value, const std::string& words) {
    Bytes changed = jpeg;
    changed[frame + offset] = value;
    expect_fault(Fault::input, words, [&] { decode_image(changed, "kind.jpg"); });
  };
  kind(1, 0xc3, "unsupported JPEG file: lossless;");
  kind(1, 0xc6, "hierarchical progressive");
  kind(1, 0xc9, "sequential with arithmetic coding");
  kind(1, 0xca, "progressive with arithmetic coding");
  kind(1, 0xca, "save it as");
  kind(4, 12, "12 bits a sample");
  kind(9, 2, "2 components");
  Bytes no_height = jpeg;
  no_height[frame + 5] = no_height[frame + 6] = 0;
  expect_fault(Fault::input, "height follows", [&] { decode_image(no_height, "kind.jpg"); });
}

// Read outside of its block by stb_image 2.27, or whatever lay in the heap.
TEST(OddPictures, JpegTablesThatAreNotDefined) {
  expect_fault(Fault::input, "needs Huffman table 3 of DC, which it does not define",
               [] { decode_image(bytes_of("undefined-tables.jpg"), "u.jpg"); });
  const Bytes jpeg = bytes_of("picture.jpg");
  Bytes changed = jpeg;
  changed[place_of(jpeg, {0xff, 0xc0}) + 12] = 3;
  expect_fault(Fault::input, "needs quantization table 3", [&] { decode_image(changed, "q.jpg"); });
  changed = jpeg;
  const size_t table = place_of(jpeg, {0xff, 0xc4});
  for (size_t i = 0; i < 16; ++i) changed[table + 5 + i] = 255;
  expect_fault(Fault::input, "a Huffman table of 4080 symbols", [&] { decode_image(changed, "h.jpg"); });
}

// Forty bytes of a scan that says nothing cost as long as the picture: minutes for a file of a megabyte.
TEST(OddPictures, ScansFollowFromEachOther) {
  Bytes jpeg = bytes_of("picture.jpg");
  const Bytes end = {0xff, 0xd9};
  const size_t frame = place_of(jpeg, {0xff, 0xc0}), scan = place_of(jpeg, {0xff, 0xda});
  jpeg.resize(jpeg.size() - 2);
  const Bytes whole_scan(jpeg.begin() + std::ptrdiff_t(scan), jpeg.end());
  const auto parts_of = [&](const Bytes& more) {
    Bytes file = jpeg;
    file.insert(file.end(), more.begin(), more.end());
    file.insert(file.end(), end.begin(), end.end());
    return jpeg_parts(file, "scans.jpg");
  };
  const auto refused = [&](const Bytes& more, const std::string& words) {
    expect_fault(Fault::input, words, [&] { parts_of(more); });
  };
  EXPECT_NO_THROW(parts_of({}));
  refused(whole_scan, "a second scan of component");

  jpeg[frame + 1] = 0xc2;  // the same data as mean values, of which nobody asks here
  jpeg[scan + 12] = 0;
  const uint8_t first = jpeg[frame + 10];
  const auto of = [&](int from, int to, int high, int low) {
    return Bytes{0xff, 0xda, 0, 8, 1, first, 0, uint8_t(from), uint8_t(to), uint8_t(high * 16 + low)};
  };
  const auto both = [](Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  EXPECT_NO_THROW(parts_of(both(of(1, 63, 0, 2), both(of(1, 63, 2, 1), of(1, 63, 1, 0)))));
  refused(of(0, 0, 0, 0), "that do not follow from each other");
  refused(both(of(1, 63, 0, 0), of(5, 5, 0, 0)), "that do not follow from each other");
  refused(both(of(1, 63, 0, 1), of(5, 5, 0, 0)), "that do not follow from each other");
  refused(both(of(1, 63, 0, 2), of(1, 63, 1, 0)), "that do not follow from each other");
  refused(of(5, 5, 1, 0), "that do not follow from each other");
  refused(of(5, 5, 2, 0), "coefficients 5 to 5, bits 2 to 0");
  refused(of(5, 4, 0, 0), "coefficients 5 to 4");
  refused(of(5, 64, 0, 0), "coefficients 5 to 64");
  refused(of(0, 63, 0, 0), "coefficients 0 to 63");
  Bytes many;
  for (int k = 1; k < 64; ++k) many = both(many, of(k, k, 0, 1));
  for (int k = 1; k <= 36; ++k) many = both(many, of(k, k, 1, 0));
  EXPECT_NO_THROW(parts_of(many));
  refused(both(many, of(37, 37, 1, 0)), "more than 100 scans");
}

// stb_image took whatever lay on its stack behind the palette.
TEST(OddPictures, APixelBeyondThePaletteIsAnError) {
  const Bytes grey = bytes_of("grey.png");
  Bytes header(grey.begin() + 16, grey.begin() + 29);
  header[9] = 3;  // its pixels are places of a palette
  const Bytes pixels = png_parts(grey, "grey.png").compressed;
  const auto coloured = [&](int colours) {
    Bytes all(grey.begin(), grey.begin() + 8);
    for (const Bytes& part : {chunk("IHDR", header), chunk("PLTE", Bytes(size_t(3 * colours), 9)),
                              chunk("IDAT", pixels), chunk("IEND", {})})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  EXPECT_EQ(decode_image(coloured(256), "p.png").pixels[0], 9);
  expect_fault(Fault::input, "bad palette index", [&] { decode_image(coloured(100), "p.png"); });
}

// stb_image decodes zeros in place of what is missing, or leaves the rest of the picture out.
TEST(OddPictures, MissingCodedDataIsAnError) {
  for (const char* name : {"picture.jpg", "progressive.jpg", "cmyk-adobe.jpg", "restarts.jpg"}) {
    const Bytes whole = bytes_of(name);
    EXPECT_NO_THROW(decode_image(whole, name));
    const Bytes scan_mark = {0xff, 0xda};
    const size_t scan = size_t(std::find_end(whole.begin(), whole.end(), scan_mark.begin(), scan_mark.end()) -
                               whole.begin()),
                 data = scan + 2 + whole[scan + 3], end = whole.size() - 2;
    ASSERT_LT(data + 8, end);
    for (const size_t left : {size_t(0), (end - data) / 3, end - data - 4}) {
      Bytes cut(whole.begin(), whole.begin() + std::ptrdiff_t(data + left));
      if (cut.back() == 0xff) cut.pop_back();
      cut.insert(cut.end(), {0xff, 0xd9});
      EXPECT_THROW(decode_image(cut, name), Error) << name << ", " << left << " bytes are left";
    }
  }
  // What lies between two restart marks, and a mark.
  const Bytes whole = bytes_of("restarts.jpg");
  const size_t first = place_of(whole, {0xff, 0xd0}), second = place_of(whole, {0xff, 0xd1});
  ASSERT_LT(second, whole.size());
  for (const auto& [from, to] :
       {std::pair(first + 2, second), std::pair(first + 4, second), std::pair(second, second + 2)}) {
    Bytes cut = whole;
    cut.erase(cut.begin() + std::ptrdiff_t(from), cut.begin() + std::ptrdiff_t(to));
    EXPECT_THROW(decode_image(cut, "restarts.jpg"), Error) << from << " to " << to;
  }
}

TEST(OddPictures, ComponentsOfOneNameAreTakenInTheirOrder) {
  const Bytes plain = bytes_of("picture.jpg");
  Bytes same = plain;
  for (size_t i = 0; i < 3; ++i) {
    same[place_of(plain, {0xff, 0xc0}) + 10 + 3 * i] = 7;
    same[place_of(plain, {0xff, 0xda}) + 5 + 2 * i] = 7;
  }
  EXPECT_EQ(largest_difference(decode_image(same, "same.jpg"), decode_image(plain, "plain.jpg")), 0);
}

TEST(OddPictures, EveryRefusalHasAReason) {
  for (const char* name : {"picture.jpg", "progressive.jpg", "cmyk-adobe.jpg"}) {
    const Bytes plain = bytes_of(name);
    for (size_t size = 3; size < plain.size(); size += 7) {
      const std::string message =
          testing::error_of(Fault::input, [&] { decode_image(std::span(plain).first(size), "cut.jpg"); });
      EXPECT_NE(message.find("was it cut?"), std::string::npos) << name << " " << size << ": " << message;
    }
  }
  for (const auto& [begin, words] : std::vector<std::pair<std::string, std::string>>{
           {"BM1234", "a BMP picture"},
           {"GIF89a", "a GIF picture"},
           {"RIFF1234WEBPVP8 ", "a WebP picture"},
           {std::string("II*\0", 4), "a TIFF picture"},
           {std::string("\0\0\0\x18"
                        "ftypheic",
                        12),
            "a HEIC picture"},
           {std::string("\0\0\0\x18"
                        "ftypavif",
                        12),
            "an AVIF picture"},
           {"P6 3 2 255", "a PNM picture"},
           {"version https://git-lfs.github.com/spec/v1", "git lfs pull"},
           {"<!DOCTYPE html>", "web page"},
           {"", "neither a JPEG nor a PNG file, but empty"}}) {
    expect_fault(Fault::input, words, [&, &content = begin] { decode_image(bytes(content), "kind"); });
  }
  expect_fault(Fault::input, "magick", [&] { decode_image(bytes("GIF89a"), "kind"); });
}

}  // namespace
}  // namespace retort
