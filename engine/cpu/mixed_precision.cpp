// Portable: 16-bit elements are kept and converted, not computed with; loss scaling is the specification of a
// GPU's.
#include <cstring>

#include "engine/cpu/portable.h"
#include "engine/kernels/loss_scale.h"
#include "engine/types.h"

namespace retort {

namespace {

void check_type(DType type) {
  check(type == DType::f32 || is_16_bit(type), "cast: elements are ", type, ", expected f32, f16 or bf16");
}

float read_element(DType type, const void* data, int64_t i) {
  return type == DType::f32 ? static_cast<const float*>(data)[i]
                            : float_of_bits16(type, static_cast<const uint16_t*>(data)[i]);
}

void write_element(DType type, void* data, int64_t i, float value) {
  if (type == DType::f32)
    static_cast<float*>(data)[i] = value;
  else
    static_cast<uint16_t*>(data)[i] = bits16_of(type, value);
}

}  // namespace

void Portable::cast(const Tensor& from, const Sink& to) {
  check(from.size() == to.to.size(), "cast: ", from.shape, " to ", to.to.shape);
  check_type(from.type);
  check_type(to.to.type);
  for (int64_t i = 0; i < from.size(); ++i) {
    const float value = read_element(from.type, from.data, i);
    write_element(to.to.type, to.to.data, i,
                  to.accumulates() ? read_element(to.to.type, to.to.data, i) + value : value);
  }
}

void Portable::update_loss_scale(const Tensor& gradients, const Tensor&, const Tensor& state) {
  check(state.size() == loss_scale_numbers, "update_loss_scale: the state has shape ", state.shape);
  double* numbers = state.as<double>();
  with_real_type(gradients.type, "update_loss_scale", [&]<class T>() {
    const T* g = gradients.as<T>();
    for (int64_t i = 0; i < gradients.size(); ++i)
      if (!is_finite(g[i])) numbers[loss_scale_not_finite] = 1;
  });
  retort::update_loss_scale(numbers);
}

void Portable::scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr,
                          double momentum, double weight_decay, const Tensor& state) {
  const double factor = state.as<double>()[loss_scale_factor];
  if (factor == 0) return;
  with_real_type(w.type, "scaled_sgd", [&]<class T>() {
    T *weights = w.as<T>(), *velocity = v.as<T>();
    const T* gradient = g.as<T>();
    for (int64_t i = 0; i < w.size(); ++i)
      sgd_step(weights[i], gradient[i] * T(factor), velocity[i], T(*lr.as<double>()), T(momentum),
               T(weight_decay));
  });
}

void Portable::mixed_sgd(const MixedWeights&, const Tensor&, double, double, const Tensor&) {
  fail(Fault::internal, name(), ": has no weights in 16 bits");
}

}  // namespace retort
