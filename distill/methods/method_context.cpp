#include "distill/methods/method_context.h"

namespace retort {

FeatureShapes feature_shapes(Model& model, Device& device) {
  device.step_arena().rewind();
  const Pass pass{device};
  const Var image = pass.make({1, model.side, model.side, 3}, DType::f32);
  device.backend().fill(image, 0);
  const Outputs outputs = model.run(image, pass, true);
  FeatureShapes shapes;
  shapes.pooled = outputs.pooled.shape();
  for (const Var& map : outputs.stages) shapes.stages.push_back(map.shape());
  for (const Var& map : outputs.pre_relu) shapes.pre_relu.push_back(map.shape());
  return shapes;
}

}  // namespace retort
