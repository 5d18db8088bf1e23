// Views of images: crop, flip, normalise.
#include "datasets/augment/augment.h"

#include <gtest/gtest.h>

#include <vector>

namespace retort {
namespace {

// Keeps the byte, so that a test sees where it came from; the padding is 0.
struct Plain {
  float operator()(uint8_t byte, int) const { return float(byte); }
};

std::vector<uint8_t> numbered(int height, int width, int channels) {
  std::vector<uint8_t> image;
  for (int i = 0; i < height * width * channels; ++i) image.push_back(uint8_t(1 + i % 250));
  return image;
}

TEST(Augment, TheDefaultViewIsTheImage) {
  const auto image = numbered(6, 5, 3);
  std::vector<float> out(image.size(), -1);
  augment_image(image.data(), 6, 5, 3, View{}, Plain{}, 0, 1, out.data());
  for (size_t i = 0; i < image.size(); ++i) EXPECT_EQ(out[i], float(image[i]));
}

// Against the definition, step by step: pad into a larger image, cut the window, mirror it.
TEST(Augment, EveryViewIsPadCropFlip) {
  const int h = 7, w = 5, c = 3;
  const auto image = numbered(h, w, c);
  const int ph = h + 2 * crop_padding, pw = w + 2 * crop_padding;
  std::vector<uint8_t> padded(size_t(ph * pw * c), 0);
  for (int y = 0; y < h; ++y)
    for (int i = 0; i < w * c; ++i)
      padded[size_t(((y + crop_padding) * pw + crop_padding) * c + i)] = image[size_t(y * w * c + i)];
  for (int v = 0; v < view_count; ++v) {
    const View view = view_at(v);
    EXPECT_EQ(index_of(view), v);
    std::vector<float> out(image.size(), -1);
    augment_image(image.data(), h, w, c, view, Plain{}, 0, 1, out.data());
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        for (int k = 0; k < c; ++k) {
          const int cut_x = view.flip ? w - 1 - x : x;
          const uint8_t expected = padded[size_t(((y + view.dy) * pw + cut_x + view.dx) * c + k)];
          ASSERT_EQ(out[size_t((y * w + x) * c + k)], float(expected))
              << "view " << v << " y " << y << " x " << x;
        }
  }
}

TEST(Augment, LanesShareTheWork) {
  const auto image = numbered(8, 8, 3);
  const View view{1, 7, true};
  std::vector<float> whole(image.size(), -1), shared(image.size(), -1);
  augment_image(image.data(), 8, 8, 3, view, Plain{}, 0, 1, whole.data());
  for (int lane = 0; lane < 3; ++lane)
    augment_image(image.data(), 8, 8, 3, view, Plain{}, lane, 3, shared.data());
  EXPECT_EQ(shared, whole);
}

TEST(Augment, PaddingIsBlackBeforeNormalising) {
  const Normalize normalize{{.5f, .4f, .3f}, {.25f, .2f, .1f}};
  const NormalizeTable table(normalize);
  const std::vector<uint8_t> image(4 * 4 * 3, 255);
  std::vector<float> direct(image.size()), tabled(image.size());
  augment_image(image.data(), 4, 4, 3, View{0, 0, false}, normalize, 0, 1, direct.data());
  augment_image(image.data(), 4, 4, 3, View{0, 0, false}, table, 0, 1, tabled.data());
  EXPECT_EQ(direct, tabled);
  EXPECT_EQ(direct[0], -.5f / .25f);
  EXPECT_EQ(direct[1], -.4f / .2f);
  EXPECT_EQ(direct[2], -.3f / .1f);
  augment_image(image.data(), 4, 4, 3, View{}, normalize, 0, 1, direct.data());
  EXPECT_EQ(direct[2], (1 - .3f) / .1f);
}

TEST(Augment, ViewsAreUniformAndDependOnEverything) {
  const int n = 162 * 200;
  std::vector<int> counts(size_t(view_count), 0);
  int same_epoch = 0, same_seed = 0;
  for (int sample = 0; sample < n; ++sample) {
    const View view = view_of(1, 3, uint32_t(sample));
    ASSERT_TRUE(view.dy >= 0 && view.dy <= 8 && view.dx >= 0 && view.dx <= 8);
    ++counts[size_t(index_of(view))];
    same_epoch += view == view_of(1, 4, uint32_t(sample));
    same_seed += view == view_of(2, 3, uint32_t(sample));
    EXPECT_EQ(view, view_of(1, 3, uint32_t(sample)));
  }
  double chi = 0;  // 161 degrees of freedom: mean 161, deviation 18
  for (int count : counts) chi += (count - 200.0) * (count - 200.0) / 200.0;
  EXPECT_LT(chi, 161 + 5 * 18);
  EXPECT_NEAR(same_epoch, 200, 5 * 14);
  EXPECT_NEAR(same_seed, 200, 5 * 14);
}

}  // namespace
}  // namespace retort
