// Decoders against Pillow's bytes (data/photos.py), and parts of pictures against whole ones.
#include "datasets/formats/picture_decoder.h"

#include <algorithm>
#include <cstdlib>

#include "datasets/formats/jpeg_turbo.h"
#include "engine/base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/photos.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

TEST(PictureDecoder, TurboGivesPillowsBytes) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  const nlohmann::json file = reference_file("photos.json");
  for (const nlohmann::json& row : file["decoded"]) {
    const Image image = read_image(photo(row["file"]), Decoder::turbo);
    EXPECT_EQ(image.height, row["height"]) << row;
    EXPECT_EQ(image.width, row["width"]) << row;
    EXPECT_EQ(pixel_hash(image.pixels), row["hash"].get<std::string>()) << row;
  }
}

TEST(PictureDecoder, StbDiffersLittle) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  const nlohmann::json file = reference_file("photos.json");
  for (const nlohmann::json& row : file["decoded"]) {
    const Image turbo = read_image(photo(row["file"]), Decoder::turbo), stb = read_image(photo(row["file"]));
    ASSERT_EQ(turbo.pixels.size(), stb.pixels.size()) << row;
    EXPECT_EQ(turbo.orientation, stb.orientation);
    int largest = 0;
    for (size_t i = 0; i < stb.pixels.size(); ++i)
      largest = std::max(largest, std::abs(int(stb.pixels[i]) - int(turbo.pixels[i])));
    EXPECT_LE(largest, 4) << row;  // 4: where colours are halved along rows alone
  }
}

// Whatever part is asked for, its pixels are those of the whole picture.
TEST(PictureDecoder, PartsAreThoseOfTheWhole) {
  for (const Decoder decoder : {Decoder::stb, Decoder::turbo}) {
    if (decoder == Decoder::turbo && !turbo_built()) continue;
    PictureDecoder pictures(decoder);
    for (const char* name : {"colour-420.jpg", "colour-422.jpg", "colour-444.jpg", "progressive-420.jpg",
                             "restarts-420.jpg", "grey.jpg", "png-inside.JPEG"}) {
      const std::vector<uint8_t> file = InputFile(photo(name)).read_all(1 << 20);
      const Image whole = decode_image(file, name, decoder);
      for (int i = 0; i < 200; ++i) {
        Box part;
        part.height = 1 + i * 37 % whole.height;
        part.width = 1 + i * 53 % whole.width;
        part.top = i * 29 % (whole.height - part.height + 1);
        part.left = i * 31 % (whole.width - part.width + 1);
        const PixelView view = pictures.decode(file, name, [&](const PictureSize& size) {
          EXPECT_EQ(size.height, whole.height);
          EXPECT_EQ(size.width, whole.width);
          return part;
        });
        ASSERT_EQ(view.height, part.height);
        ASSERT_EQ(view.width, part.width);
        for (int y = 0; y < part.height; ++y)
          ASSERT_TRUE(
              std::equal(view.data + y * view.stride, view.data + y * view.stride + 3 * part.width,
                         whole.pixels.begin() + (int64_t(part.top + y) * whole.width + part.left) * 3))
              << name_of(decoder) << " " << name << ": row " << y << " of " << part.height << " x "
              << part.width << " at " << part.top << ", " << part.left;
      }
    }
  }
}

// The end is an image or Fault::input, for both decoders, and the next picture is decoded as ever.
TEST(PictureDecoder, BadFiles) {
  for (const Decoder decoder : {Decoder::stb, Decoder::turbo}) {
    if (decoder == Decoder::turbo && !turbo_built()) continue;
    expect_fault(Fault::input, "truncated.jpg: damaged JPEG file",
                 [&] { read_image(photo("truncated.jpg"), decoder); });
    const Image good = read_image(photo("colour-420.jpg"), decoder);
    for (const char* name : {"colour-420.jpg", "progressive-420.jpg", "grey.jpg"}) {
      const std::vector<uint8_t> file = InputFile(photo(name)).read_all(1 << 20);
      for (size_t i = 0; i < file.size(); i += 7) {
        std::vector<uint8_t> damaged = file;
        damaged[i] ^= uint8_t(1 << i % 8);
        try {
          decode_image(damaged, name, decoder);
        } catch (const Error& error) {
          EXPECT_EQ(error.fault(), Fault::input) << error.what();
        }
      }
    }
    EXPECT_EQ(read_image(photo("colour-420.jpg"), decoder).pixels, good.pixels);
  }
}

// Whether a file is bad does not depend on the part that is wanted of it.
TEST(PictureDecoder, DamageIsSeenWhateverIsWanted) {
  for (const Decoder decoder : {Decoder::stb, Decoder::turbo}) {
    if (decoder == Decoder::turbo && !turbo_built()) continue;
    PictureDecoder pictures(decoder);
    int bad = 0;
    for (const char* name :
         {"colour-420.jpg", "colour-444.jpg", "progressive-420.jpg", "restarts-420.jpg", "grey.jpg"}) {
      const std::vector<uint8_t> file = InputFile(photo(name)).read_all(1 << 20);
      for (size_t i = file.size() / 3; i < file.size(); i += 11) {
        std::vector<uint8_t> damaged = file;
        damaged[i] ^= uint8_t(1 << i % 8);
        const auto problem = [&](const Box& part) {
          try {
            pictures.decode(damaged, name, [&](const PictureSize& size) {
              return part.height > 0 ? part : Box{0, 0, size.height, size.width};
            });
          } catch (const Error& error) {
            return std::string(error.what());
          }
          return std::string();
        };
        const std::string whole = problem({});
        bad += !whole.empty();
        for (const Box& part : {Box{0, 0, 1, 1}, Box{0, 3, 9, 20}, Box{20, 0, 5, 8}})
          EXPECT_EQ(problem(part).empty(), whole.empty())
              << name_of(decoder) << " " << name << ", byte " << i << ": " << whole << problem(part);
      }
    }
    EXPECT_GT(bad, 20);
  }
}

// Bytes between a picture's data and its end mark.
TEST(PictureDecoder, TurboReadsOnToTheEndMark) {
  if (!turbo_built()) GTEST_SKIP() << "built without libjpeg-turbo";
  for (const char* name : {"colour-420.jpg", "progressive-420.jpg", "grey.jpg"}) {
    std::vector<uint8_t> file = InputFile(photo(name)).read_all(1 << 20);
    file.insert(file.end() - 2, 40, 0);
    PictureDecoder pictures(Decoder::turbo);
    for (const bool whole : {true, false})
      expect_fault(Fault::input, "extraneous bytes before marker 0xd9", [&] {
        pictures.decode(file, name, [&](const PictureSize& size) {
          return whole ? Box{0, 0, size.height, size.width} : Box{2, 2, 4, 4};
        });
      });
    EXPECT_NO_THROW(decode_image(file, name, Decoder::stb))
        << "which looks at no bytes behind the last block";
  }
}

TEST(PictureDecoder, Names) {
  EXPECT_EQ(decoder_named("stb"), Decoder::stb);
  expect_fault(Fault::usage, "expected auto, stb or turbo", [] { decoder_named("pillow"); });
  if (turbo_built()) {
    EXPECT_EQ(decoder_named("turbo"), Decoder::turbo);
    EXPECT_EQ(decoder_named("auto"), Decoder::turbo);
  } else {
    EXPECT_EQ(decoder_named("auto"), Decoder::stb);
    expect_fault(Fault::usage, "libjpeg62-turbo-dev", [] { decoder_named("turbo"); });
  }
}

}  // namespace
}  // namespace retort::testing
