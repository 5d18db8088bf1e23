#include "models/export/export_weights.h"

#include "engine/base/atomic_file.h"
#include "engine/base/file.h"
#include "models/export/logit_check.h"
#include "models/export/onnx_model.h"

namespace retort {

namespace {

constexpr double tolerance = 1e-4;

// The logits of the file, computed by ONNX's definitions, against the model's, on two images of noise.
double compare_logits(const OnnxModel& onnx, Model& model, Device& device, const std::string& file) {
  const LogitCheck expected(model, device, 2);
  const int64_t plane = model.side * model.side;
  std::vector<float> planar(expected.images.size());
  for (int64_t i = 0; i < int64_t(planar.size()); ++i) {
    const int64_t channel = i % 3, pixel = i / 3 % plane, image = i / 3 / plane;
    planar[size_t((image * 3 + channel) * plane + pixel)] = expected.images[size_t(i)];
  }
  const std::vector<float> found = run_onnx(onnx, planar, expected.count, file);
  check(found.size() == expected.logits.size(), Fault::verification, file, ": gives ", found.size(),
        " logits, expected ", expected.logits.size());
  return expected.difference(found);
}

}  // namespace

Exported export_onnx(const Weights& weights, Model& model, Device& device,
                     const std::filesystem::path& target, const std::string& version, bool verify) {
  OnnxModel onnx = onnx_model(inference_graph(model, device));
  onnx.producer_version = version;
  onnx.metadata = carried_metadata(weights, model);
  onnx.metadata.erase("format");
  onnx.doc = text(model.name, " for images of ", model.side, "x", model.side, ", ", model.classes,
                  " classes; batch norms are folded into convolutions");
  const std::string file = onnx_file(onnx);
  write_file(target, file);
  Exported result{int64_t(file.size()), 0};
  if (!verify) return result;

  const std::string read = read_text_file(target);
  const OnnxModel again = parse_onnx(read, target.string());
  check(again == onnx, Fault::verification, target.string(), ": what was read back is not what was written");
  result.largest_difference = compare_logits(again, model, device, target.string());
  check(result.largest_difference <= tolerance, Fault::verification, target.string(),
        ": the logits differ from the model's by ", result.largest_difference, " of the largest, at most ",
        tolerance, " is expected");
  return result;
}

Exported export_safetensors(const Weights& weights, Model& model, Device& device,
                            const std::filesystem::path& target, bool verify) {
  const std::vector<HostTensor> state = state_of(model, device);
  std::vector<TensorView> views;
  for (const HostTensor& t : state) views.push_back(t.view());
  Exported result{write_safetensors(target, carried_metadata(weights, model), std::move(views)), 0};
  if (!verify) return result;

  const SafeTensors read = read_safetensors(target);
  bool same = read.tensors.size() == state.size();
  for (const HostTensor& t : state) {
    const HostTensor* again = read.find(t.name);
    same = same && again && again->type == t.type && again->shape == t.shape && again->data == t.data;
  }
  check(same, Fault::verification, target.string(), ": what was read back is not what was written");
  return result;
}

}  // namespace retort
