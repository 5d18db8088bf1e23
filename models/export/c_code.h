// A network as one C file, for targets without a file system: C11, freestanding, weights as arrays.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/export/quantize.h"

namespace retort {

struct CCodeOptions {
  std::string name = "net";              // prefix of what the file defines; a C identifier, else Fault::usage
  WeightType weights = WeightType::f32;  // f32 or int8
  std::array<float, 3> mean{}, std{};    // of pixels from 0 to 1; zeros: unknown
  int64_t test_resize = 0;               // see NetworkInput; 0: unknown
  std::vector<std::string> class_names = {};
  std::string version;  // of the program, for the comment
};

struct CCode {
  std::string text;
  int64_t ram = 0;    // bytes that the caller gives: working memory, an image, logits
  int64_t flash = 0;  // bytes of weights; the code, a few KB, comes on top
};

// Networks above this are read by a C compiler for minutes and take its memory.
constexpr int64_t most_c_parameters = 20'000'000;

// Defines void NAME_predict(const float *image, float *logits, float *work), NAME_WORK_FLOATS, where mean and
// deviation are known void NAME_normalise(const unsigned char *pixels, float *image), and where the names of
// classes are NAME_CLASS_NAMES. Fault::usage for a network of more than most_c_parameters.
CCode c_code(const InferenceGraph& graph, const CCodeOptions& options);

}  // namespace retort
