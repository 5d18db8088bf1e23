#include "engine/cpu/conv/forward_conv.h"

#include <type_traits>

namespace retort {

namespace {

template <class T>
bool winograd_suits_one(const Workers& workers, const ConvShape& shape) {
  if constexpr (std::is_same_v<T, float>) {
    Source<float> one = windows_of<float>(nullptr, shape);
    one.images = 1;
    return Winograd(workers).suits(one, shape.outputs / shape.groups, true);
  }
  return false;
}

}  // namespace

template <class T>
ForwardConv<T>::ForwardConv(const Workers& workers, const ConvShape& shape)
    : ForwardConv(workers, shape, winograd_suits_one<T>(workers, shape) ? Sums::winograd : Sums::direct) {}

template <class T>
ForwardConv<T>::ForwardConv(const Workers& workers, const ConvShape& shape, Sums sums)
    : shape_(shape), runner_(workers), winograd_(workers), source_(windows_of<T>(nullptr, shape)) {
  const int64_t outputs = shape.outputs;
  target_.y = {nullptr, source_.height * source_.width * outputs, source_.width * outputs, outputs};
  target_.channels = outputs / shape.groups;
  target_.bias = target_.add = nullptr;
  target_.relu = false;
  if (make_depthwise(runner_, target_.channels, &source_, &target_)) {
    method_ = Method::depthwise;
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (sums == Sums::winograd && winograd_.can(source_, target_.channels)) {
      method_ = Method::winograd;
      return;
    }
  }
  chunk_ = runner_.chunk_of(source_, target_);
}

template <class T>
int64_t ForwardConv<T>::packed_size() const {
  if (method_ == Method::depthwise) return source_.length();
  if (method_ == Method::winograd) return Winograd::packed_size(source_.channels, target_.channels);
  return runner_.packed_size(source_, target_.channels);
}

template <class T>
int64_t ForwardConv<T>::scratch_size() const {
  // Fewer images may be cut into larger parts.
  int64_t most = 0;
  for (int64_t images = 1; images <= shape_.images; ++images) {
    Source<T> source = source_;
    source.images = images;
    int64_t size = 0;
    if constexpr (std::is_same_v<T, float>) {
      if (method_ == Method::winograd) size = winograd_.scratch_size(source, target_.channels);
    }
    if (method_ != Method::winograd) size = runner_.scratch_size(source, target_);
    most = std::max(most, size);
  }
  return most;
}

template <class T>
void ForwardConv<T>::pack(const T* weights, T* packed) const {
  const int64_t length = source_.length();
  if (method_ == Method::depthwise) {
    // To r,s,c.
    const int64_t channels = source_.channels, taps = source_.rows * source_.columns;
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t c = 0; c < channels; ++c) *packed++ = weights[c * taps + t];
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (method_ == Method::winograd) {
      winograd_.pack(source_.channels, target_.channels,
                     {weights, length, 1, source_.run(), source_.channels}, packed);
      return;
    }
  }
  runner_.pack(
      source_, target_.channels, chunk_,
      [&](const ConvKernels<T>& kernels, int64_t group, int64_t first, int64_t count, T* to) {
        kernels.pack(
            {weights + (group * target_.channels + first) * length, length, 1, count, length, 0, length, to});
      },
      packed);
}

template <class T>
void ForwardConv<T>::run(const T* x, int64_t images, const T* packed, const T* bias, const T* add, bool relu,
                         T* y) const {
  Source<T> source = source_;
  source.data = x;
  source.images = images;
  Target<T> target = target_;
  target.y.data = y;
  target.bias = bias;
  target.add = add;
  target.relu = relu;
  if (method_ == Method::depthwise) return runner_.depthwise(source, target, packed);
  if constexpr (std::is_same_v<T, float>) {
    if (method_ == Method::winograd) return winograd_.correlate(source, target, packed);
  }
  runner_.correlate(source, target, chunk_, packed);
}

template class ForwardConv<float>;
template class ForwardConv<double>;

}  // namespace retort
