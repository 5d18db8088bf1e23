#include "models/model.h"

namespace retort {

Outputs Model::run(const Var& images, const Pass& pass, bool features) {
  const DType own = image_type(pass.device.precision());
  // f64 is a gradient check's, which runs as it is.
  if (own == DType::f32 || (images.type() != DType::f32 && images.type() != own))
    return forward(images, pass, features);
  Outputs outputs = forward(images.type() == own ? images : cast(pass, images, own), pass, features);
  outputs.logits = cast(pass, outputs.logits, DType::f32);
  for (Var* value : {&outputs.pooled, &outputs.map})
    if (*value) *value = cast(pass, *value, DType::f32);
  for (std::vector<Var>* values : {&outputs.stages, &outputs.pre_relu})
    for (Var& value : *values)
      if (value) value = cast(pass, value, DType::f32);
  return outputs;
}

}  // namespace retort
