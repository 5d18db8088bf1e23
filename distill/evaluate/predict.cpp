#include "distill/evaluate/predict.h"

#include <algorithm>
#include <cmath>

#include "datasets/augment/augment.h"
#include "datasets/formats/image_file.h"
#include "datasets/formats/npy.h"
#include "engine/types.h"
#include "models/channel_numbers.h"

namespace retort {

namespace {

constexpr int64_t largest_batch = 100;
// White over the narrowest deviation of the data sets at hand, 0.2, is 5.
constexpr float largest_normalised = 20;

// What images have to be normalised with.
ChannelNumbers needed_numbers(const Weights& weights, const char* key) {
  const std::optional<ChannelNumbers> numbers = channel_numbers(weights, key);
  check(numbers.has_value(), Fault::input, weights.path.string(), ": the file does not hold the '", key,
        "' that its images were normalised with; give --mean and --std here, or once to `retort import`, or "
        "the "
        "images as a normalised .npy");
  return *numbers;
}

void append(const std::vector<uint8_t>& bytes, const NormalizeTable& normalize, std::vector<float>& to) {
  const size_t before = to.size();
  to.resize(before + bytes.size());
  normalize(bytes.data(), int64_t(bytes.size()), to.data() + before);
}

}  // namespace

FittedPicture read_fitted(const std::string& file, int64_t side, int resize, Decoder decoder) {
  FittedPicture picture;
  Image read = read_image(file, decoder);
  if (read.orientation != 1) {
    picture.notes.push_back(text(file, ": turned upright (EXIF orientation ", read.orientation, ")"));
    read = upright(read);
  }
  Fitted fitted = fit_image(read, int(side), resize);
  if (fitted.resized) {
    picture.notes.push_back(text(file, ": ", read.width, "x", read.height, " pixels, resized",
                                 resize > side ? text(" to a shorter side of ", resize) : std::string(),
                                 " and centre-cropped to ", side, "x", side));
  }
  picture.pixels = std::move(fitted.image.pixels);
  return picture;
}

PreparedImages prepare_pictures(const std::vector<std::string>& files, const Weights& weights, int64_t side,
                                int resize, Decoder decoder) {
  Normalize constants{};
  const ChannelNumbers mean = needed_numbers(weights, "mean"), stddev = needed_numbers(weights, "std");
  std::copy(mean.begin(), mean.end(), constants.mean);
  std::copy(stddev.begin(), stddev.end(), constants.stddev);
  const NormalizeTable normalize(constants);

  PreparedImages prepared{.count = int64_t(files.size()), .side = side, .names = files};
  for (const std::string& file : files) {
    const FittedPicture picture = read_fitted(file, side, resize, decoder);
    prepared.notes.insert(prepared.notes.end(), picture.notes.begin(), picture.notes.end());
    append(picture.pixels, normalize, prepared.pixels);
  }
  return prepared;
}

PreparedImages prepare_array(const std::string& file, int64_t side) {
  const NpyArray array = read_npy(file);
  std::vector<int64_t> shape = array.shape;
  if (shape.size() == 3) shape.insert(shape.begin(), 1);
  const bool fits =
      shape.size() == 4 && shape[0] >= 1 && shape[1] == side && shape[2] == side && shape[3] == 3;
  std::string found;
  for (const int64_t extent : array.shape) found += (found.empty() ? "" : ", ") + std::to_string(extent);
  check(fits && array.is_real(), Fault::input, file, ": holds ", array.type, " [", found,
        "], expected f32 [N, ", side, ", ", side, ", 3], normalised images");

  PreparedImages prepared{.count = shape[0], .side = side};
  const std::vector<double> values = array.reals();
  prepared.pixels.assign(values.begin(), values.end());
  // Behind the largest of a window NaN may be lost, and the answer look like one.
  for (size_t i = 0; i < prepared.pixels.size(); ++i) {
    check(std::isfinite(prepared.pixels[i]), Fault::input, file, ": element ", i, " (image ",
          int64_t(i) / (side * side * 3), ") is ", prepared.pixels[i], ", expected a finite number");
  }
  const auto [least, most] = std::minmax_element(prepared.pixels.begin(), prepared.pixels.end());
  if (*most > largest_normalised || *least < -largest_normalised) {
    prepared.notes.push_back(
        text("note: ", file, ": values from ", *least, " to ", *most,
             ": pixels in 0..255? Images are expected normalised, (x / 255 - mean) / std"));
  }
  for (int64_t i = 0; i < prepared.count; ++i) prepared.names.push_back(text(file, "[", i, "]"));
  return prepared;
}

PreparedImages prepare_numbered(const ImageSet& images, const std::vector<int64_t>& numbers,
                                const Normalize& normalize, int64_t side) {
  check(images.height == side && images.width == side && images.channels == 3, Fault::input, "the images are ",
        images.height, "x", images.width, "x", images.channels, ", the network sees ", side, "x", side, "x3");
  const NormalizeTable table(normalize);
  PreparedImages prepared{.count = int64_t(numbers.size()), .side = side};
  PictureReader reader(images.decoder);
  std::vector<uint8_t> bytes(size_t(images.image_bytes()));
  for (const int64_t number : numbers) {
    check(number >= 0 && number < images.size(), Fault::usage, "there is no test image ", number,
          "; they are numbered from 0 to ", images.size() - 1);
    images.read(number, reader, bytes.data());
    append(bytes, table, prepared.pixels);
    prepared.names.push_back(text("test image ", number));
  }
  return prepared;
}

std::vector<float> predict_logits(Model& model, Device& device, const PreparedImages& images) {
  fold_batch_norms(model, device);
  const int64_t image_size = images.side * images.side * 3;
  std::vector<float> logits(size_t(images.count * model.classes));
  for (int64_t first = 0; first < images.count; first += largest_batch) {
    const int64_t count = std::min(largest_batch, images.count - first);
    device.step_arena().rewind();
    const Pass pass{device};
    const Var input = pass.make({count, images.side, images.side, 3}, DType::f32);
    device.backend().upload(input, images.pixels.data() + first * image_size);
    const Var output = model(input, pass);
    device.backend().download(logits.data() + first * model.classes, output);
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    check(std::isfinite(logits[i]), Fault::diverged, images.names[i / size_t(model.classes)], ": logit ",
          i % size_t(model.classes), " of ", model.name, " is ", logits[i],
          ": numbers overflow inside the network, whose weights or images are too large");
  }
  return logits;
}

std::vector<Guess> likeliest(const float* logits, int64_t classes, int64_t count, double temperature) {
  std::vector<int64_t> order;
  for (int64_t c = 0; c < classes; ++c) order.push_back(c);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  const auto share = [&](int64_t c) { return std::exp((double(logits[c]) - logits[order[0]]) / temperature); };
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += share(c);
  std::vector<Guess> guesses;
  for (int64_t i = 0; i < std::min(count, classes); ++i) {
    const int64_t label = order[size_t(i)];
    guesses.push_back({label, share(label) / sum});
  }
  return guesses;
}

}  // namespace retort
