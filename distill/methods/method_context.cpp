#include "distill/methods/method_context.h"

#include "models/detection/detector.h"

namespace retort {

namespace {

// On the least picture that it takes: its pictures have many sizes, and methods ask for channels.
FeatureShapes pyramid_shapes(Detector& detector, Device& device) {
  const Pass pass{device};
  const int64_t side = detector.spec().pad_multiple;
  const Var image = pass.make({1, side, side, 3}, DType::f32);
  device.backend().fill(image, 0);
  FeatureShapes shapes;
  for (const Var& level : detector.pyramid(image, pass)) shapes.stages.push_back(level.shape());
  return shapes;
}

}  // namespace

std::vector<NormNumbers> stage_norms(const Model& model, Device& device) {
  std::vector<NormNumbers> norms;
  for (const BatchNorm* norm : model.stage_norms())
    norms.push_back({read_values(device, norm->weight.value), read_values(device, norm->bias.value)});
  return norms;
}

FeatureShapes feature_shapes(Model& model, Device& device) {
  device.step_arena().rewind();
  if (auto* const detector = dynamic_cast<Detector*>(&model)) return pyramid_shapes(*detector, device);
  const Pass pass{device};
  const Var image = pass.make({1, model.side, model.side, 3}, DType::f32);
  device.backend().fill(image, 0);
  const Outputs outputs = model.run(image, pass, true);
  FeatureShapes shapes;
  shapes.pooled = outputs.pooled.shape();
  shapes.map = outputs.map.shape();
  for (const Var& map : outputs.stages) shapes.stages.push_back(map.shape());
  for (const Var& map : outputs.pre_relu) shapes.pre_relu.push_back(map.shape());
  return shapes;
}

}  // namespace retort
