// ONNX: read, and run where its input is small.
#include "engine/base/check.h"
#include "models/export/onnx_model.h"
#include "tests/fuzz/target.h"

namespace retort::fuzz {

void read_onnx(Bytes bytes) {
  const std::string file = text_of(bytes);
  const OnnxModel model = parse_onnx(file, "input");
  int64_t size = 1;
  for (const int64_t extent : model.input.shape) {
    if (extent < 1 || extent > 4096) return;
    size *= extent;
    if (size > 4096) return;
  }
  run_onnx(model, std::vector<float>(size_t(size), .5f), 1, "input");
}

}  // namespace retort::fuzz
