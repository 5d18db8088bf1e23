#include "engine/cpu/conv/winograd_kernels.h"

#include "engine/cpu/conv/conv_blocks.h"

namespace retort {

namespace {

using V = Vector<float>;
constexpr int n = lanes<float>;
constexpr int tile = winograd_tile, window = winograd_window;

// The points are 0, a, -a, b, -b and infinity.
constexpr float a = 0.75f, b = 1.5f;
constexpr float a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b;
// 1 / prod (p - q) over the other finite points q, for p = 0, +-a, +-b.
constexpr float g0 = float(1.0 / (double(a2) * b2));
constexpr float ga = float(1.0 / (2.0 * a2 * (double(a2) - b2)));
constexpr float gb = float(1.0 / (2.0 * b2 * (double(b2) - a2)));

// B': 6 to 6.
struct InputTransform {
  static constexpr int from = window, to = window;
  static RETORT_HD void apply(const V* d, V* v) {
    v[0] = a2 * b2 * d[0] - (a2 + b2) * d[2] + d[4];
    const V even_a = d[4] - b2 * d[2], odd_a = a * (d[3] - b2 * d[1]);
    v[1] = even_a + odd_a;
    v[2] = even_a - odd_a;
    const V even_b = d[4] - a2 * d[2], odd_b = b * (d[3] - a2 * d[1]);
    v[3] = even_b + odd_b;
    v[4] = even_b - odd_b;
    v[5] = a2 * b2 * d[1] - (a2 + b2) * d[3] + d[5];
  }
};

// A': 6 to 4.
struct OutputTransform {
  static constexpr int from = window, to = tile;
  static RETORT_HD void apply(const V* m, V* y) {
    const V sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = a * difference_a + b * difference_b;
    y[2] = a2 * sum_a + b2 * sum_b;
    y[3] = a3 * difference_a + b3 * difference_b + m[5];
  }
};

// A: 4 to 6.
struct GradientTransform {
  static constexpr int from = tile, to = window;
  static RETORT_HD void apply(const V* y, V* m) {
    m[0] = y[0];
    const V even_a = y[0] + a2 * y[2], odd_a = a * y[1] + a3 * y[3];
    m[1] = even_a + odd_a;
    m[2] = even_a - odd_a;
    const V even_b = y[0] + b2 * y[2], odd_b = b * y[1] + b3 * y[3];
    m[3] = even_b + odd_b;
    m[4] = even_b - odd_b;
    m[5] = y[3];
  }
};

// G: 3 to 6.
struct WeightTransform {
  static constexpr int from = 3, to = window;
  static RETORT_HD void apply(const V* w, V* u) {
    u[0] = g0 * w[0];
    const V even_a = ga * (w[0] + a2 * w[2]), odd_a = (ga * a) * w[1];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    const V even_b = gb * (w[0] + b2 * w[2]), odd_b = (gb * b) * w[1];
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = w[2];
  }
};

// G': 6 to 3.
struct WeightGradientTransform {
  static constexpr int from = window, to = 3;
  static RETORT_HD void apply(const V* u, V* w) {
    const V sum_a = ga * (u[1] + u[2]), difference_a = ga * (u[1] - u[2]);
    const V sum_b = gb * (u[3] + u[4]), difference_b = gb * (u[3] - u[4]);
    w[0] = g0 * u[0] + sum_a + sum_b;
    w[1] = a * difference_a + b * difference_b;
    w[2] = a2 * sum_a + b2 * sum_b + u[5];
  }
};

// A two-dimensional transform: get(i, j) gives the operands, put(i, j, v) takes the results.
template <class Transform, class Get, class Put>
RETORT_HD void transform(const Get& get, const Put& put) {
  constexpr int from = Transform::from, to = Transform::to;
  V half[to][from];
  unroll<from>([&](int j) RETORT_FLAT {
    V column[from], result[to];
    unroll<from>([&](int i) RETORT_FLAT { column[i] = get(i, j); });
    Transform::apply(column, result);
    unroll<to>([&](int i) RETORT_FLAT { half[i][j] = result[i]; });
  });
  unroll<to>([&](int i) RETORT_FLAT {
    V result[to];
    Transform::apply(half[i], result);
    unroll<to>([&](int j) RETORT_FLAT { put(i, j, result[j]); });
  });
}

template <class Transform>
void transform_tiles(const WinogradTiles<float>& p) {
  float* to = p.to;
  for (int64_t image = 0; image < p.images; ++image) {
    for (int64_t i = 0; i < p.rows; ++i) {
      const float* from = p.from + image * p.image + i * tile * p.row;
      for (int64_t j = 0; j < p.columns; ++j, from += tile * p.pixel) {
        for (int64_t c = 0; c < p.channels; c += n, to += n) {
          transform<Transform>(
              [&](int r, int s) RETORT_FLAT { return load(from + r * p.row + s * p.pixel + c); },
              [&](int r, int s, V v) RETORT_FLAT { store(to + (r * window + s) * p.frequency, v); });
        }
      }
    }
  }
}

void transform_weights(const WinogradWeights<float>& p) {
  const Panels panels = panels_of(p.outputs, n, block_vectors);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t begin = panels.first(panel) * n, width = panels.first(panel + 1) * n - begin;
    for (int64_t k = begin; k < begin + width; k += n) {
      for (int64_t c = p.first; c < p.first + p.count; ++c) {
        const float* from = p.w.from + k * p.w.output_step + c * p.w.channel_step;
        float* to = p.to + begin * p.channels + c * width + (k - begin);
        const auto get = [&](int r, int s) RETORT_FLAT {
          const float* element = from + r * p.w.row_step + s * p.w.column_step;
          if (p.w.output_step == 1) return load(element);
          V v;
          unroll<n>([&](int lane) RETORT_FLAT { v[lane] = element[lane * p.w.output_step]; });
          return v;
        };
        transform<WeightTransform>(
            get, [&](int r, int s, V v) RETORT_FLAT { store(to + (r * window + s) * p.frequency, v); });
      }
    }
  }
}

void finish_tiles(const float* m, int64_t frequency, const Correlation<float>& p) {
  for (int64_t image = 0; image < p.images; ++image) {
    for (int64_t i = 0; i < p.height; i += tile) {
      for (int64_t j = 0; j < p.width; j += tile) {
        const int64_t at = image * p.y.image + i * p.y.row + j * p.y.pixel;
        const int64_t rows = p.height - i, columns = p.width - j;
        for (int64_t k = 0; k < p.outputs; k += n, m += n) {
          const V bias = p.bias ? load(p.bias + k) : V{};
          transform<OutputTransform>([&](int r, int s)
                                         RETORT_FLAT { return load(m + (r * window + s) * frequency); },
                                     [&](int r, int s, V v) RETORT_FLAT {
                                       if (r < rows && s < columns)
                                         finish(p, v, bias, at + r * p.y.row + s * p.y.pixel, k);
                                     });
        }
      }
    }
  }
}

void finish_weight_gradient(const WinogradWeightGradient<float>& p) {
  for (int64_t k = p.first; k < p.first + p.count; ++k) {
    for (int64_t c = 0; c < p.channels; c += n) {
      const float* from = p.from + k * p.channels + c;
      float* to = p.dw + k * 9 * p.channels + c;
      transform<WeightGradientTransform>(
          [&](int r, int s) RETORT_FLAT {
            const float* element = from + (r * window + s) * p.frequency;
            V sum = load(element);
            for (int64_t shard = 1; shard < p.shards; ++shard) sum += load(element + shard * p.shard);
            return sum;
          },
          [&](int r, int s, V v) RETORT_FLAT {
            float* element = to + (r * 3 + s) * p.channels;
            store(element, p.accumulate ? load(element) + v : v);
          });
    }
  }
}

constexpr WinogradKernels<float> table = {n,
                                          transform_tiles<InputTransform>,
                                          transform_tiles<GradientTransform>,
                                          transform_weights,
                                          finish_tiles,
                                          finish_weight_gradient};

}  // namespace

template <>
const WinogradKernels<float>& winograd_kernels<float, Isa::RETORT_ISA>() {
  return table;
}

}  // namespace retort
