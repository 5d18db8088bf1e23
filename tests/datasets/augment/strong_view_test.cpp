// The strong view's operations against the Python Imaging Library's bytes (tests/data/strong_view.py), and
// what is drawn for an image.
#include "datasets/augment/strong_view.h"

#include <cstdio>
#include <map>
#include <set>

#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;

Picture picture_of(const std::string& name, const json& spec) {
  Picture picture{spec["height"], spec["width"], {}};
  const int low = spec["low"], high = spec["high"];
  const int64_t row = int64_t(picture.width) * 3;
  const std::vector<double> u = closed_values("picture." + name, picture.height * row);
  for (int64_t i = 0; i < int64_t(u.size()); ++i) {
    const int value = low + int((high - low + 1) * ((u[size_t(i)] + 1) / 2));
    picture.bytes.push_back(uint8_t(value + (low != high ? i / row % 7 : 0)));
  }
  return picture;
}

std::string hash_of(const std::vector<uint8_t>& bytes) {
  const uint64_t h = fnv1a64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(h));
  return digits;
}

StrongOp op_named(const std::string& name) {
  static const std::map<std::string, StrongOp> ops = {{"auto_contrast", StrongOp::auto_contrast},
                                                      {"equalize", StrongOp::equalize},
                                                      {"identity", StrongOp::identity},
                                                      {"brightness", StrongOp::brightness},
                                                      {"color", StrongOp::color},
                                                      {"contrast", StrongOp::contrast},
                                                      {"sharpness", StrongOp::sharpness},
                                                      {"posterize", StrongOp::posterize},
                                                      {"solarize", StrongOp::solarize},
                                                      {"rotate", StrongOp::rotate},
                                                      {"shear_x", StrongOp::shear_x},
                                                      {"shear_y", StrongOp::shear_y},
                                                      {"translate_x", StrongOp::translate_x},
                                                      {"translate_y", StrongOp::translate_y}};
  return ops.at(name);
}

TEST(StrongView, OperationsGiveTheLibrarysBytes) {
  const json file = reference_file("strong_view.json");
  std::set<std::string> seen;
  for (const json& c : file["cases"]) {
    SCOPED_TRACE(c.dump());
    const std::string name = c["picture"], op = c["op"];
    Picture picture = picture_of(name, file["pictures"][name]);
    if (op == "cutout")
      apply(StrongView::Cutout{c["side"], c["x"], c["y"]}, picture);
    else
      apply(op_named(op), c["magnitude"], picture);
    for (const auto& entry : c["entries"]) EXPECT_EQ(picture.bytes[entry[0]], int(entry[1])) << entry[0];
    EXPECT_EQ(hash_of(picture.bytes), c["hash"].get<std::string>());
    seen.insert(op);
  }
  EXPECT_EQ(seen.size(), size_t(strong_op_count) + 1);
}

TEST(StrongView, IsAFunctionOfSeedEpochAndSample) {
  const auto bytes = [](uint64_t seed, uint32_t epoch, uint32_t sample) {
    Picture image = picture_of("square", {{"height", 32}, {"width", 32}, {"low", 0}, {"high", 240}});
    const NormalizeTable plain({{0, 0, 0}, {1, 1, 1}});
    std::vector<float> out(image.bytes.size());
    normalize_picture(strong_picture(image.bytes.data(), 32, 32, strong_view_of(seed, epoch, sample, 32, 32)),
                      plain, out.data());
    return out;
  };
  EXPECT_EQ(bytes(1, 2, 3), bytes(1, 2, 3));
  EXPECT_NE(bytes(1, 2, 3), bytes(1, 2, 4));
  EXPECT_NE(bytes(1, 2, 3), bytes(1, 3, 3));
  EXPECT_NE(bytes(1, 2, 3), bytes(2, 2, 3));
}

TEST(StrongView, DrawsEveryOperationWithinItsRange) {
  std::map<StrongOp, int> drawn;
  double largest = 0;
  for (uint32_t sample = 0; sample < 4000; ++sample) {
    const StrongView view = strong_view_of(5, 1, sample, 32, 32);
    for (const StrongView::Step& step : view.steps) {
      ++drawn[step.op];
      switch (step.op) {
        case StrongOp::posterize:
          EXPECT_TRUE(step.magnitude >= 4 && step.magnitude < 8);
          break;
        case StrongOp::rotate:
          EXPECT_LE(std::abs(step.magnitude), 30);
          break;
        case StrongOp::sharpness:
          EXPECT_TRUE(step.magnitude >= 0.05 && step.magnitude <= 0.95);
          break;
        case StrongOp::translate_y:
          EXPECT_LE(std::abs(step.magnitude), 0.3);
          break;
        default:
          break;
      }
    }
    largest = std::max(largest, view.cutout.side);
    EXPECT_LT(view.cutout.side, 16);
  }
  // 8000 draws: 571 of each, with deviation 23.
  ASSERT_EQ(drawn.size(), size_t(strong_op_count));
  for (const auto& [op, count] : drawn) EXPECT_NEAR(count, 571, 120);
  EXPECT_GT(largest, 15.5);
}

}  // namespace
}  // namespace retort::testing
