// A network as one C file, for targets without a file system: C11, freestanding, weights as arrays.
#pragma once
#include <array>
#include <string>

#include "models/export/quantize.h"

namespace retort {

struct CCodeOptions {
  std::string name = "net";              // prefix of what the file defines; a C identifier, else Fault::usage
  WeightType weights = WeightType::f32;  // f32 or int8
  std::array<float, 3> mean{}, std{};    // for the comment; zeros: unknown
  std::string version;                   // of the program, for the comment
};

struct CCode {
  std::string text;
  int64_t ram = 0;    // bytes of working memory that the caller gives
  int64_t flash = 0;  // bytes of weights; the code, a few KB, comes on top
};

// Defines void NAME_predict(const float *image, float *logits, float *work) and NAME_WORK_FLOATS.
CCode c_code(const InferenceGraph& graph, const CCodeOptions& options);

}  // namespace retort
