// A model's answers for a few images.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/augment/augment.h"
#include "datasets/formats/picture_decoder.h"
#include "datasets/image_set.h"
#include "models/weights.h"

namespace retort {

// Float images N,H,W,C as a model sees them, normalised.
struct PreparedImages {
  int64_t count = 0, side = 0;
  std::vector<float> pixels = {};
  std::vector<std::string> names = {};  // one per image: its file, or "x.npy[3]"
  std::vector<std::string> notes = {};  // what was done to them, for the user
};

// A picture's file as bytes, side x side x 3: upright, its centre where it is larger (see fit_image()).
struct FittedPicture {
  std::vector<uint8_t> pixels = {};
  std::vector<std::string> notes = {};
};
FittedPicture read_fitted(const std::string& file, int64_t side, int resize, Decoder decoder);

// Pictures, fitted to side x side, normalised with the mean and deviation that the weights' file holds
// (Fault::input if it holds none).
// Larger ones are resized to a shorter side of `resize` (0: side), and their centre is cut out.
PreparedImages prepare_pictures(const std::vector<std::string>& files, const Weights& weights, int64_t side,
                                int resize = 0, Decoder decoder = Decoder::stb);

// A .npy of f32 or f64, N,side,side,3 (or one image without N), already normalised.
PreparedImages prepare_array(const std::string& file, int64_t side);

// Images of a set by their numbers, normalised. Fault::usage for a number that it does not have; Fault::input
// if they are of another size.
PreparedImages prepare_numbered(const ImageSet& images, const std::vector<int64_t>& numbers,
                                const Normalize& normalize, int64_t side);

// count x classes. Folds the model's batch norms.
std::vector<float> predict_logits(Model& model, Device& device, const PreparedImages& images);

struct Guess {
  int64_t label = 0;
  double probability = 0;  // softmax
};

// The `count` likeliest classes of one row of logits, likeliest first; at a tie the lower class. Probabilities are
// those of the logits divided by the temperature.
std::vector<Guess> likeliest(const float* logits, int64_t classes, int64_t count, double temperature = 1);

}  // namespace retort
