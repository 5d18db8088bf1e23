#include "datasets/augment/strong_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace retort {

namespace {

constexpr int channels = 3;
using Table = std::array<uint8_t, 256>;
using Histogram = std::array<int, 256>;

struct Range {
  double low, high;
};

Range magnitudes(StrongOp op) {
  switch (op) {
    case StrongOp::auto_contrast:
    case StrongOp::equalize:
    case StrongOp::identity:
      return {0, 0};
    case StrongOp::brightness:
    case StrongOp::color:
    case StrongOp::contrast:
    case StrongOp::sharpness:
      return {0.05, 0.95};
    case StrongOp::posterize:
      return {4, 8};
    case StrongOp::solarize:
      return {0, 256};
    case StrongOp::rotate:
      return {-30, 30};
    case StrongOp::shear_x:
    case StrongOp::shear_y:
    case StrongOp::translate_x:
    case StrongOp::translate_y:
      return {-0.3, 0.3};
  }
  return {0, 0};
}

uint8_t clipped(int value) {
  return uint8_t(std::clamp(value, 0, 255));
}

// f(value) for each byte; one table for all channels, or f(histogram) gives one for each.
template <class MakeTable>
void map_channels(Picture& picture, MakeTable make) {
  for (size_t c = 0; c < channels; ++c) {
    Histogram histogram{};
    for (size_t i = c; i < picture.bytes.size(); i += channels) ++histogram[picture.bytes[i]];
    const Table table = make(histogram);
    for (size_t i = c; i < picture.bytes.size(); i += channels) picture.bytes[i] = table[picture.bytes[i]];
  }
}

template <class F>
Table table_of(F f) {
  Table table;
  for (int value = 0; value < 256; ++value) table[size_t(value)] = clipped(f(value));
  return table;
}

Table spread(const Histogram& histogram) {
  int low = 0, high = 255;
  while (low < 255 && !histogram[size_t(low)]) ++low;
  while (high > 0 && !histogram[size_t(high)]) --high;
  if (high <= low) return table_of([](int value) { return value; });
  const double scale = 255.0 / (high - low), offset = -low * scale;
  return table_of([=](int value) { return int(value * scale + offset); });
}

Table equalized(const Histogram& histogram) {
  int total = 0, last = 0, kinds = 0;
  for (const int count : histogram) {
    if (!count) continue;
    total += count;
    last = count;
    ++kinds;
  }
  const int step = (total - last) / 255;
  if (kinds <= 1 || step == 0) return table_of([](int value) { return value; });
  int before = step / 2;
  Table table;
  for (size_t value = 0; value < 256; ++value) {
    table[value] = clipped(before / step);
    before += histogram[value];
  }
  return table;
}

// 0.299 R + 0.587 G + 0.114 B in 16 fractional bits.
uint8_t grey(const uint8_t* rgb) {
  return uint8_t((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

// image <- other + share (image - other), share in [0, 1], rounded down.
template <class Other>
void blend(Picture& picture, double share, Other other) {
  const auto alpha = float(share);
  for (size_t i = 0; i < picture.bytes.size(); ++i) {
    const int from = other(i), to = picture.bytes[i];
    picture.bytes[i] = uint8_t(float(from) + alpha * float(to - from));
  }
}

// The mean of the picture's grey values, rounded.
int mean_grey(const Picture& picture) {
  int64_t sum = 0;
  for (size_t i = 0; i < picture.bytes.size(); i += channels) sum += grey(&picture.bytes[i]);
  return int(double(sum) / double(picture.bytes.size() / channels) + 0.5);
}

// Each place but those of the border becomes (the sum of its 3x3 places + 4 times itself) / 13.
std::vector<uint8_t> smoothed(const Picture& picture) {
  std::vector<uint8_t> out = picture.bytes;
  const int stride = picture.width * channels;
  for (int y = 1; y + 1 < picture.height; ++y) {
    for (int i = channels; i < stride - channels; ++i) {
      const uint8_t* at = &picture.bytes[size_t(y * stride + i)];
      int sum = 4 * at[0];
      for (const int row : {-stride, 0, stride}) sum += at[row - channels] + at[row] + at[row + channels];
      out[size_t(y * stride + i)] = uint8_t((2 * sum + 13) / 26);
    }
  }
  return out;
}

// Place (x, y) of the result takes what is at (a x + b y + c, d x + e y + f), measured from the places'
// centres, nearest neighbour; outside is black. 16 fractional bits, as the library does it.
void transform(Picture& picture, double a, double b, double c, double d, double e, double f) {
  const auto fixed = [](double v) { return int64_t(std::floor(v * 65536.0 + 0.5)); };
  const Picture from = picture;
  const int64_t ax = fixed(a), bx = fixed(b), dy = fixed(d), ey = fixed(e);
  const int64_t cx = fixed(c + a * 0.5 + b * 0.5), fy = fixed(f + d * 0.5 + e * 0.5);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const int64_t column = (cx + ax * x + bx * y) >> 16, row = (fy + dy * x + ey * y) >> 16;
      const bool inside = column >= 0 && column < from.width && row >= 0 && row < from.height;
      for (int k = 0; k < channels; ++k) {
        picture.bytes[size_t((y * picture.width + x) * channels + k)] =
            inside ? from.bytes[size_t((row * from.width + column) * channels + k)] : uint8_t(0);
      }
    }
  }
}

// The library rounds to 15 digits.
double rounded(double v) {
  return std::round(v * 1e15) / 1e15;
}

void rotate(Picture& picture, double degrees) {
  const double angle = -degrees * std::numbers::pi / 180;
  const double cosine = rounded(std::cos(angle)), sine = rounded(std::sin(angle));
  const double x = picture.width / 2.0, y = picture.height / 2.0;
  transform(picture, cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y);
}

}  // namespace

StrongView strong_view_of(uint64_t seed, uint32_t epoch, uint32_t sample, int height, int width) {
  Random4 r[3];
  for (uint32_t draw = 0; draw < 3; ++draw)
    r[draw] = random4(seed, Purpose::strong_view, epoch, sample, draw);
  StrongView view;
  view.crop.dy = int(random_below(r[0].v[0], crop_offsets));
  view.crop.dx = int(random_below(r[0].v[1], crop_offsets));
  view.crop.flip = (r[0].v[2] >> 31) != 0;
  for (int i = 0; i < 2; ++i) {
    StrongView::Step& step = view.steps[i];
    step.op = StrongOp(random_below(r[1].v[2 * i], strong_op_count));
    const Range range = magnitudes(step.op);
    step.magnitude = range.low + (range.high - range.low) * double(random_unit(r[1].v[2 * i + 1]));
  }
  view.cutout = {0.5 * width * double(random_unit(r[2].v[0])), width * double(random_unit(r[2].v[1])),
                 height * double(random_unit(r[2].v[2]))};
  return view;
}

void apply(StrongOp op, double magnitude, Picture& picture) {
  switch (op) {
    case StrongOp::auto_contrast:
      return map_channels(picture, spread);
    case StrongOp::equalize:
      return map_channels(picture, equalized);
    case StrongOp::identity:
      return;
    case StrongOp::brightness:
      return blend(picture, magnitude, [](size_t) { return 0; });
    case StrongOp::color:
      // A place's grey is taken before its first channel changes.
      return blend(picture, magnitude, [&, shade = 0](size_t i) mutable {
        return shade = i % channels == 0 ? grey(&picture.bytes[i]) : shade;
      });
    case StrongOp::contrast:
      return blend(picture, magnitude, [shade = mean_grey(picture)](size_t) { return shade; });
    case StrongOp::sharpness:
      return blend(picture, magnitude, [smooth = smoothed(picture)](size_t i) { return smooth[i]; });
    case StrongOp::posterize: {
      const int mask = 255 & ~((1 << (8 - int(magnitude))) - 1);
      return map_channels(picture,
                          [&](const Histogram&) { return table_of([=](int v) { return v & mask; }); });
    }
    case StrongOp::solarize:
      return map_channels(picture, [&](const Histogram&) {
        return table_of([=](int v) { return v < magnitude ? v : 255 - v; });
      });
    case StrongOp::rotate:
      return rotate(picture, magnitude);
    case StrongOp::shear_x:
      return transform(picture, 1, magnitude, 0, 0, 1, 0);
    case StrongOp::shear_y:
      return transform(picture, 1, 0, 0, magnitude, 1, 0);
    case StrongOp::translate_x:
      return transform(picture, 1, 0, magnitude * picture.width, 0, 1, 0);
    case StrongOp::translate_y:
      return transform(picture, 1, 0, 0, 0, 1, magnitude * picture.height);
  }
}

void apply(const StrongView::Cutout& cutout, Picture& picture) {
  if (cutout.side <= 0) return;
  constexpr uint8_t mean_color[channels] = {125, 123, 114};
  const int left = int(std::max(0.0, cutout.x - cutout.side / 2));
  const int top = int(std::max(0.0, cutout.y - cutout.side / 2));
  // The last column and row belong to it, as the library draws rectangles.
  const int right = std::min(picture.width - 1, int(left + cutout.side));
  const int bottom = std::min(picture.height - 1, int(top + cutout.side));
  for (int y = top; y <= bottom; ++y) {
    for (int x = left; x <= right; ++x) {
      std::copy_n(mean_color, channels, &picture.bytes[size_t((y * picture.width + x) * channels)]);
    }
  }
}

Picture strong_picture(const uint8_t* image, int height, int width, const StrongView& view) {
  Picture picture{height, width, std::vector<uint8_t>(size_t(height) * size_t(width) * channels)};
  augment_image(
      image, height, width, channels, view.crop, [](uint8_t byte, int) { return byte; }, 0, 1,
      picture.bytes.data());
  for (const StrongView::Step& step : view.steps) apply(step.op, step.magnitude, picture);
  apply(view.cutout, picture);
  return picture;
}

void normalize_picture(const Picture& picture, const NormalizeTable& normalize, float* out) {
  normalize(picture.bytes.data(), int64_t(picture.bytes.size()), out);
}

}  // namespace retort
