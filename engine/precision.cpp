#include "engine/precision.h"

#include "engine/base/check.h"

namespace retort {

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return "fp32";
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp16:
      return "fp16";
  }
  return "unknown";
}

Precision precision_named(const std::string& name) {
  for (Precision p : {Precision::fp32, Precision::tf32, Precision::bf16, Precision::fp16})
    if (name == name_of(p)) return p;
  fail(Fault::usage, "precision '", name, "' is unknown; expected fp32, tf32, bf16 or fp16");
}

DType image_type(Precision precision) {
  return precision == Precision::bf16 ? DType::bf16 : precision == Precision::fp16 ? DType::f16 : DType::f32;
}

}  // namespace retort
