// Resizing, byte for byte as Pillow's; data/photos.py made the hashes.
#include "datasets/formats/resize.h"

#include <algorithm>

#include "tests/support/photos.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

Box box_of(const nlohmann::json& numbers) {
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

TEST(Resize, PillowsBytes) {
  const nlohmann::json file = reference_file("photos.json");
  Resizer resizer;  // one for all: what it keeps of one size must not show in the next
  for (const nlohmann::json& row : file["resized"]) {
    const Image image = ruled_picture(row["picture"][0], row["picture"][1]);
    const int height = row["to"][0], width = row["to"][1];
    std::vector<uint8_t> out(size_t(height) * size_t(width) * 3);
    resizer.resize(view_of(image).part(box_of(row["crop"])), height, width, {0, 0, height, width},
                   out.data());
    EXPECT_EQ(pixel_hash(out), row["hash"].get<std::string>()) << row;
  }
  for (const nlohmann::json& row : file["centres"]) {
    const Fitted fitted =
        fit_image(ruled_picture(row["picture"][0], row["picture"][1]), row["size"], row["resize"]);
    EXPECT_EQ(pixel_hash(fitted.image.pixels), row["hash"].get<std::string>()) << row;
  }
}

// A part of the result is that part of the whole result, and writes and reads nothing beside it.
TEST(Resize, PartsAreThoseOfTheWhole) {
  Resizer resizer;
  for (const auto& [rows, columns, height, width] :
       {std::array{60, 90, 40, 30}, {60, 90, 60, 30}, {60, 90, 40, 90}, {20, 31, 64, 77}, {60, 90, 60, 90}}) {
    Image image = ruled_picture(rows, columns);
    image.pixels.shrink_to_fit();
    const Image whole = resize_image(image, height, width);
    for (const Box& part : {Box{0, 0, 1, 1}, Box{height - 1, width - 1, 1, 1}, Box{7, 5, 12, 21},
                            Box{0, width - 11, height, 11}, Box{height - 3, 0, 3, width}}) {
      const size_t bytes = size_t(part.height) * size_t(part.width) * 3;
      std::vector<uint8_t> out(bytes + 8, 77);
      resizer.resize(view_of(image), height, width, part, out.data());
      for (int y = 0; y < part.height; ++y)
        ASSERT_TRUE(std::equal(out.begin() + int64_t(y) * part.width * 3,
                               out.begin() + int64_t(y + 1) * part.width * 3,
                               whole.pixels.begin() + (int64_t(part.top + y) * width + part.left) * 3))
            << height << " x " << width << ", row " << y;
      EXPECT_EQ(std::vector<uint8_t>(out.begin() + std::ptrdiff_t(bytes), out.end()),
                std::vector<uint8_t>(8, 77));
    }
  }
}

// What every instruction set of this processor computes, called by itself.
TEST(Resize, InstructionSetsAgree) {
  std::vector<uint8_t> row(3 * 200 + 4);
  for (size_t i = 0; i < row.size(); ++i) row[i] = uint8_t(i * 151 + i / 7);
  const std::vector<int32_t> weights = {1 << 20, 1 << 21, 1 << 20};
  std::vector<ResizeTaps> taps;
  for (int i = 0; i < 66; ++i) taps.push_back({3 * i, 3, weights.data()});
  const auto both = [&]<Isa isa>() {
    constexpr int64_t stride = 66 * 3 + 1;
    std::vector<uint8_t> out(4 * stride), down(150);
    const uint8_t* const rows[] = {&row[0], &row[1], &row[2], &row[3]};
    ResizeLoops<compiled(isa)>::along(rows, taps.data(), 66, out.data(), stride);
    ResizeLoops<compiled(isa)>::across(row.data(), 180, {0, 3, weights.data()}, 150, down.data());
    for (int r = 0; r < 4; ++r) out[size_t((r + 1) * stride - 1)] = 0;  // nobody's
    out.insert(out.end(), down.begin(), down.end());
    return out;
  };
  const auto expected = both.operator()<Isa::baseline>();
  if (best_isa() >= Isa::avx2) {
    EXPECT_EQ(both.operator()<Isa::avx2>(), expected);
  }
  if (best_isa() >= Isa::avx512) {
    EXPECT_EQ(both.operator()<Isa::avx512>(), expected);
  }
  for (size_t i = 0; i < 4 * 66 * 3; ++i) {
    const size_t r = i / 198, at = r + i % 198 / 3 * 9 + i % 3;  // each place takes three pixels, of row r
    ASSERT_EQ(expected[r * 199 + i % 198], (row[at] + 2 * row[at + 3] + row[at + 6] + 2) / 4) << i;
  }
  for (int i = 0; i < 150; ++i)
    ASSERT_EQ(expected[size_t(4 * 199 + i)],
              (row[size_t(i)] + 2 * row[size_t(180 + i)] + row[size_t(360 + i)] + 2) / 4);
}

}  // namespace
}  // namespace retort::testing
