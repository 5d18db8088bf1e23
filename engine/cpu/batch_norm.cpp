// Portable: batch norm. The rows are cut into blocks of a constant size; each gives its own mean and squared
// deviations, which are merged in order (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm
// for computing sample variances", 1979): one pass over memory, without the cancellation of E[x^2] - E[x]^2.
#include <algorithm>
#include <cmath>

#include "engine/cpu/batch_norm_kernels.h"
#include "engine/cpu/conv/channel_kernels.h"
#include "engine/cpu/portable.h"
#include "engine/types.h"

namespace retort {

namespace {

constexpr int64_t part = 16384;  // elements of one block

int64_t rows_per_block(int64_t channels) { return std::max<int64_t>(part / channels, 1); }

template <class T>
T* pointer(const Tensor& t) {
  return t ? t.as<T>() : nullptr;
}

template <class T>
T* pointer(const Sink& s) {
  return s ? s.to.as<T>() : nullptr;
}

}  // namespace

void Portable::inverse_std(const Tensor& var, double eps, const Tensor& to) {
  with_real_type(var.type, "inverse_std", [&]<class T>() {
    const T* v = var.as<T>();
    T* out = to.as<T>();
    for (int64_t c = 0; c < var.size(); ++c) out[c] = T(1.0 / std::sqrt(double(v[c]) + eps));
  });
}

void Portable::batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                                const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                                const Tensor& mean, const Tensor& inverse_std, const Tensor& y) {
  with_real_type(x.type, "batch_norm_train", [&]<class T>() {
    const int64_t rows = x.shape.rows(), channels = x.shape.last(), step = rows_per_block(channels);
    const int64_t blocks = (rows + step - 1) / step;
    const auto& kernels = batch_norm_kernels<T>(isa_);
    T* partial = static_cast<T*>(shared_scratch(size_t(blocks * 2 * channels) * sizeof(T)));
    for_ranges(rows, step, [&](int64_t first, int64_t last) {
      T* own = partial + first / step * 2 * channels;
      kernels.moments(x.as<T>() + first * channels, last - first, channels, own, own + channels);
    });
    T *m = mean.as<T>(), *s = inverse_std.as<T>();
    T *rm = running_mean.as<T>(), *rv = running_var.as<T>();
    for (int64_t c = 0; c < channels; ++c) {
      double total_mean = 0, squares = 0, count = 0;
      for (int64_t b = 0; b < blocks; ++b) {
        const double n = double(std::min(step, rows - b * step));
        const double delta = double(partial[b * 2 * channels + c]) - total_mean;
        squares += double(partial[(b * 2 + 1) * channels + c]) + delta * delta * count * n / (count + n);
        count += n;
        total_mean += delta * n / count;
      }
      const double var = squares / count;
      m[c] = T(total_mean);
      s[c] = T(1.0 / std::sqrt(var + spec.eps));
      rm[c] = T((1 - spec.momentum) * double(rm[c]) + spec.momentum * total_mean);
      rv[c] = T((1 - spec.momentum) * double(rv[c]) + spec.momentum * squares / (count - 1));
    }
    batch_norm_apply(x, gamma, beta, add, spec, mean, inverse_std, y);
  });
}

void Portable::batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                                const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                                const Tensor& y) {
  with_real_type(x.type, "batch_norm_apply", [&]<class T>() {
    const int64_t rows = x.shape.rows(), channels = x.shape.last();
    const auto& kernels = channel_kernels<T>(isa_);
    T* scale = static_cast<T*>(shared_scratch(size_t(channels) * sizeof(T)));
    for (int64_t c = 0; c < channels; ++c) scale[c] = gamma.as<T>()[c] * inverse_std.as<T>()[c];
    const T* residual = pointer<T>(add);
    for_ranges(rows, rows_per_block(channels), [&](int64_t first, int64_t last) {
      kernels.affine(x.as<T>() + first * channels, residual ? residual + first * channels : nullptr, spec.relu,
                    last - first, channels, scale, mean.as<T>(), beta.as<T>(), y.as<T>() + first * channels);
    });
  });
}

void Portable::batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                                   const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                                   bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                                   const Sink& dadd) {
  with_real_type(x.type, "batch_norm_gradient", [&]<class T>() {
    const int64_t rows = x.shape.rows(), channels = x.shape.last(), step = rows_per_block(channels);
    const int64_t blocks = (rows + step - 1) / step;
    const auto& kernels = batch_norm_kernels<T>(isa_);
    const T* mask = spec.relu ? y.as<T>() : nullptr;
    auto block = [&](int64_t first, int64_t last) {
      return BatchNormBlock<T>{x.as<T>() + first * channels, mask ? mask + first * channels : nullptr,
                               dy.as<T>() + first * channels, last - first, channels};
    };
    // Sums per block, then the three per-channel factors of dx.
    T* partial = static_cast<T*>(shared_scratch(size_t((blocks * 2 + 3) * channels) * sizeof(T)));
    T* a = partial + blocks * 2 * channels;
    T *b = a + channels, *c = b + channels;
    for_ranges(rows, step, [&](int64_t first, int64_t last) {
      T* own = partial + first / step * 2 * channels;
      kernels.gradient_sums(block(first, last), mean.as<T>(), inverse_std.as<T>(), own, own + channels);
    });
    T *to_gamma = dgamma.to.as<T>(), *to_beta = dbeta.to.as<T>();
    for (int64_t k = 0; k < channels; ++k) {
      double sum_g = 0, sum_gx = 0;
      for (int64_t i = 0; i < blocks; ++i) {
        sum_g += double(partial[i * 2 * channels + k]);
        sum_gx += double(partial[(i * 2 + 1) * channels + k]);
      }
      to_beta[k] = T(sum_g) + (dbeta.accumulates() ? to_beta[k] : T(0));
      to_gamma[k] = T(sum_gx) + (dgamma.accumulates() ? to_gamma[k] : T(0));
      const double scale = double(gamma.as<T>()[k]) * double(inverse_std.as<T>()[k]);
      a[k] = T(scale);
      b[k] = batch_statistics ? T(-scale * double(inverse_std.as<T>()[k]) * sum_gx / double(rows)) : T(0);
      c[k] = batch_statistics ? T(-scale * sum_g / double(rows)) : T(0);
    }
    if (!dx && !dadd) return;
    T *to_x = pointer<T>(dx), *to_add = pointer<T>(dadd);
    for_ranges(rows, step, [&](int64_t first, int64_t last) {
      kernels.gradient(block(first, last), mean.as<T>(), a, b, c, to_x ? to_x + first * channels : nullptr,
                       dx.accumulates(), to_add ? to_add + first * channels : nullptr, dadd.accumulates());
    });
  });
}

}  // namespace retort
