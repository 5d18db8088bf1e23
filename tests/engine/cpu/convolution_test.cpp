// Convolutions and matrix products of the portable backend against plain loops in f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/cpu/portable.h"
#include "tests/support/instruction_sets.h"

namespace retort {
namespace {

struct ConvCase {
  int64_t n, h, w, c, k, r, s;
  Conv2dSpec spec;
};

void PrintTo(const ConvCase& t, std::ostream* out) {
  *out << t.n << 'x' << t.h << 'x' << t.w << 'x' << t.c << " to " << t.k << ", kernel " << t.r << 'x' << t.s
       << ", stride " << t.spec.stride << ", pad " << t.spec.pad << ", groups " << t.spec.groups;
}

// A tensor of T between guards that nobody may touch.
template <class T>
class Guarded {
 public:
  Guarded(const Shape& shape, const std::vector<double>& values)
      : memory_(size_t(shape.size()) + 2 * guard, mark()) {
    std::copy(values.begin(), values.end(), memory_.begin() + guard);
    tensor_ = {memory_.data() + guard, shape, DTypeOf<T>::value};
  }
  ~Guarded() {
    for (size_t i = 0; i < guard; ++i) {
      EXPECT_EQ(memory_[i], mark()) << "written " << guard - i << " elements before the tensor";
      EXPECT_EQ(memory_[memory_.size() - 1 - i], mark())
          << "written " << guard - i << " elements behind the tensor";
    }
  }
  operator const Tensor&() const { return tensor_; }
  const Tensor& tensor() const { return tensor_; }
  std::vector<T> values() const { return {memory_.begin() + guard, memory_.end() - guard}; }

 private:
  static constexpr size_t guard = 33;
  static T mark() { return T(-12345.5); }
  std::vector<T> memory_;
  Tensor tensor_;
};

struct Sizes {
  Shape x, w, y;
};

Sizes sizes(const ConvCase& t) {
  const int64_t p = (t.h + 2 * t.spec.pad - t.r) / t.spec.stride + 1;
  const int64_t q = (t.w + 2 * t.spec.pad - t.s) / t.spec.stride + 1;
  return {{t.n, t.h, t.w, t.c}, {t.k, t.r, t.s, t.c / t.spec.groups}, {t.n, p, q, t.k}};
}

// Calls f(x index, w index, y index) for every product of the convolution.
template <class F>
void for_products(const ConvCase& t, F f) {
  const Sizes z = sizes(t);
  const int64_t cg = z.w[3], kg = t.k / t.spec.groups;
  for (int64_t n = 0; n < t.n; ++n)
    for (int64_t i = 0; i < z.y[1]; ++i)
      for (int64_t j = 0; j < z.y[2]; ++j)
        for (int64_t k = 0; k < t.k; ++k)
          for (int64_t r = 0; r < t.r; ++r)
            for (int64_t s = 0; s < t.s; ++s) {
              const int64_t a = i * t.spec.stride + r - t.spec.pad, b = j * t.spec.stride + s - t.spec.pad;
              if (a < 0 || a >= t.h || b < 0 || b >= t.w) continue;
              for (int64_t c = 0; c < cg; ++c)
                f(((n * t.h + a) * t.w + b) * t.c + k / kg * cg + c, ((k * t.r + r) * t.s + s) * cg + c,
                  ((n * z.y[1] + i) * z.y[2] + j) * t.k + k);
            }
}

// Sums of `terms` products of numbers of about 1: the partial sums grow with the root of their number, and so
// does the number of roundings that do not cancel. In f32 some are done by Winograd's algorithm, with three
// times the error.
template <class T>
void expect_near(const std::vector<T>& got, const std::vector<double>& want, double terms, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  const double tolerance = (sizeof(T) == 4 ? 1.8e-7 : 1.2e-16) * (16 + 2 * terms);
  int bad = 0;
  for (size_t i = 0; i < got.size() && bad < 3; ++i) {
    if (!(std::abs(double(got[i]) - want[i]) <= tolerance)) {
      ADD_FAILURE() << what << " [" << i << "] is " << got[i] << ", expected " << want[i] << " within "
                    << tolerance;
      ++bad;
    }
  }
}

class Convolutions : public testing::TestWithParam<ConvCase> {};

// A problem and its results by plain loops.
struct Reference {
  Sizes z;
  std::vector<double> x, w, dy, bias, add, y, fused, dx, dw;

  explicit Reference(const ConvCase& t)
      : z(sizes(t)),
        x(numbers(z.x.size(), 1)),
        w(numbers(z.w.size(), 2)),
        dy(numbers(z.y.size(), 3)),
        bias(numbers(t.k, 4)),
        add(numbers(z.y.size(), 5)),
        y(dy.size(), 0.0),
        dx(x.size(), 0.0),
        dw(w.size(), 0.0) {
    for_products(t, [&](int64_t a, int64_t b, int64_t c) {
      y[size_t(c)] += x[size_t(a)] * w[size_t(b)];
      dx[size_t(a)] += dy[size_t(c)] * w[size_t(b)];
      dw[size_t(b)] += dy[size_t(c)] * x[size_t(a)];
    });
    fused = y;
    for (size_t i = 0; i < fused.size(); ++i)
      fused[i] = std::max(0.0, fused[i] + bias[i % size_t(t.k)] + add[i]);
  }
};

template <class T>
void forward_matches(const ConvCase& t, const Reference& r, Backend& backend) {
  const double terms = double(r.z.w.size() / t.k);
  const Guarded<T> x(r.z.x, r.x), w(r.z.w, r.w), bias({t.k}, r.bias), add(r.z.y, r.add);
  const Guarded<T> y(r.z.y, r.dy), y2(r.z.y, r.dy), y3(r.z.y, r.add);
  backend.conv2d(x, w, t.spec, {}, y);
  expect_near(y.values(), r.y, terms, "y");
  backend.conv2d(x, w, t.spec, {bias, add, true}, y2);
  expect_near(y2.values(), r.fused, terms, "relu(y + bias + add)");
  backend.conv2d(x, w, t.spec, {bias, y3, true}, y3);
  expect_near(y3.values(), r.fused, terms, "relu(y + bias + add in place)");
}

std::vector<double> sum(std::vector<double> a, const std::vector<double>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

template <class T>
void gradients_match(const ConvCase& t, const Reference& r, Backend& backend) {
  const Guarded<T> x(r.z.x, r.x), w(r.z.w, r.w), dy(r.z.y, r.dy);
  const double dx_terms = double(r.z.w.size() / t.c), dw_terms = double(r.z.y.size() / t.k);
  {
    const Guarded<T> dx(r.z.x, r.x), dw(r.z.w, r.w);
    backend.conv2d_input_gradient(dy, w, t.spec, dx.tensor());
    backend.conv2d_weight_gradient(x, dy, t.spec, dw.tensor());
    expect_near(dx.values(), r.dx, dx_terms, "dx");
    expect_near(dw.values(), r.dw, dw_terms, "dw");
  }
  const Guarded<T> dx(r.z.x, r.x), dw(r.z.w, r.w);
  backend.conv2d_input_gradient(dy, w, t.spec, {dx, Write::accumulate});
  backend.conv2d_weight_gradient(x, dy, t.spec, {dw, Write::accumulate});
  expect_near(dx.values(), sum(r.dx, r.x), dx_terms, "x + dx");
  expect_near(dw.values(), sum(r.dw, r.w), dw_terms, "w + dw");
}

TEST_P(Convolutions, MatchPlainLoops) {
  const Reference reference(GetParam());
  for (Isa isa : isas()) {
    SCOPED_TRACE(name_of(isa));
    const IsaScope scope(isa);
    Portable backend(2);
    forward_matches<float>(GetParam(), reference, backend);
    forward_matches<double>(GetParam(), reference, backend);
    gradients_match<float>(GetParam(), reference, backend);
    gradients_match<double>(GetParam(), reference, backend);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Convolutions,
    testing::Values(ConvCase{2, 8, 8, 3, 16, 3, 3, {1, 1, 1}},  // a first layer
                    ConvCase{3, 8, 8, 16, 16, 3, 3, {1, 1, 1}}, ConvCase{2, 9, 7, 16, 32, 3, 3, {2, 1, 1}},
                    ConvCase{2, 8, 8, 16, 32, 1, 1, {2, 0, 1}},  // a downsampling
                    ConvCase{2, 7, 7, 24, 40, 1, 1, {1, 0, 1}}, ConvCase{1, 5, 6, 17, 100, 1, 1, {1, 0, 1}},
                    ConvCase{1, 5, 5, 70, 51, 3, 3, {1, 1, 1}},
                    ConvCase{1, 23, 20, 3, 8, 7, 7, {2, 3, 1}},  // an ImageNet stem
                    ConvCase{2, 11, 11, 5, 6, 5, 5, {3, 2, 1}}, ConvCase{2, 6, 7, 4, 5, 2, 3, {1, 0, 1}},
                    ConvCase{1, 5, 5, 4, 4, 3, 3, {1, 3, 1}},  // more padding than kernel
                    ConvCase{1, 7, 7, 3, 4, 1, 1, {3, 1, 1}},
                    ConvCase{2, 4, 4, 3, 7, 4, 4, {4, 0, 1}},  // patches
                    ConvCase{2, 8, 8, 12, 18, 3, 3, {1, 1, 3}}, ConvCase{2, 8, 8, 8, 4, 1, 1, {2, 0, 2}},
                    ConvCase{2, 9, 9, 20, 20, 3, 3, {1, 1, 20}},  // depthwise
                    ConvCase{1, 9, 8, 67, 67, 3, 3, {2, 1, 67}}, ConvCase{1, 6, 6, 6, 12, 3, 3, {1, 1, 6}},
                    ConvCase{1, 1, 1, 1, 1, 1, 1, {1, 0, 1}}, ConvCase{40, 4, 4, 8, 8, 3, 3, {1, 1, 1}},
                    ConvCase{3, 32, 32, 6, 20, 3, 3, {1, 1, 1}},  // several partial sums of dw
                    ConvCase{3, 32, 32, 3, 32, 3, 3, {1, 1, 1}},  // and outputs in the lanes of vectors
                    ConvCase{2, 20, 20, 3, 64, 7, 7, {2, 3, 1}},
                    ConvCase{3, 30, 30, 21, 21, 3, 3, {1, 1, 21}},
                    ConvCase{1, 9, 10, 35, 35, 5, 5, {1, 2, 35}}, ConvCase{1, 40, 41, 8, 16, 3, 3, {1, 1, 1}},
                    ConvCase{17, 8, 8, 16, 32, 3, 3, {1, 1, 1}}, ConvCase{16, 7, 7, 48, 16, 3, 3, {1, 1, 1}},
                    ConvCase{2, 30, 37, 16, 16, 3, 3, {1, 0, 1}},
                    ConvCase{4, 13, 14, 16, 144, 3, 3, {1, 2, 1}}));

struct MatrixCase {
  int64_t rows, inner, columns;
};

template <class T>
void products_match(const MatrixCase& t, Backend& backend) {
  const auto a = numbers(t.rows * t.inner, 1), b = numbers(t.inner * t.columns, 2),
             bias = numbers(t.columns, 3);
  const auto before = numbers(t.rows * t.columns, 4);
  for (int options = 0; options < 16; ++options) {
    const bool ta = options & 1, tb = options & 2, with_bias = options & 4, accumulate = options & 8;
    SCOPED_TRACE(testing::Message() << t.rows << 'x' << t.inner << 'x' << t.columns
                                    << (ta ? ", a transposed" : "") << (tb ? ", b transposed" : "")
                                    << (with_bias ? ", bias" : "") << (accumulate ? ", accumulate" : ""));
    std::vector<double> c(before.size());
    for (int64_t i = 0; i < t.rows; ++i)
      for (int64_t j = 0; j < t.columns; ++j) {
        double sum = (with_bias ? bias[size_t(j)] : 0) + (accumulate ? before[size_t(i * t.columns + j)] : 0);
        for (int64_t p = 0; p < t.inner; ++p)
          sum += a[size_t(ta ? p * t.rows + i : i * t.inner + p)] *
                 b[size_t(tb ? j * t.inner + p : p * t.columns + j)];
        c[size_t(i * t.columns + j)] = sum;
      }
    const Guarded<T> A(ta ? Shape{t.inner, t.rows} : Shape{t.rows, t.inner}, a);
    const Guarded<T> B(tb ? Shape{t.columns, t.inner} : Shape{t.inner, t.columns}, b);
    const Guarded<T> bias_tensor({t.columns}, bias), C({t.rows, t.columns}, before);
    backend.matmul(A, ta, B, tb, with_bias ? bias_tensor.tensor() : Tensor{},
                   {C, accumulate ? Write::accumulate : Write::overwrite});
    expect_near(C.values(), c, double(t.inner), "c");
  }
}

TEST(Matmul, MatchesPlainLoops) {
  for (Isa isa : isas()) {
    SCOPED_TRACE(name_of(isa));
    const IsaScope scope(isa);
    Portable backend(2);
    for (const MatrixCase& t :
         {MatrixCase{64, 64, 100}, {1, 1, 1}, {7, 65, 33}, {100, 3, 17}, {13, 700, 48}}) {
      products_match<float>(t, backend);
      products_match<double>(t, backend);
    }
  }
}

TEST(Transpose, SwapsRowsAndColumns) {
  Portable backend(2);
  const int64_t rows = 37, columns = 1029;
  const auto x = numbers(rows * columns, 1), before = numbers(rows * columns, 2);
  const Guarded<float> tx({rows, columns}, x), overwritten({columns, rows}, before),
      added({columns, rows}, before);
  backend.transpose(tx, overwritten.tensor());
  backend.transpose(tx, {added, Write::accumulate});
  const auto y = overwritten.values(), z = added.values();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      const size_t to = size_t(j * rows + i);
      ASSERT_EQ(y[to], float(x[size_t(i * columns + j)]));
      ASSERT_EQ(z[to], float(before[to]) + float(x[size_t(i * columns + j)]));
    }
}

// Every result with 1, 2 and 3 threads, bit for bit.
TEST(Convolution, SameBitsForAnyNumberOfThreads) {
  for (const ConvCase& t :
       {ConvCase{12, 30, 30, 16, 32, 3, 3, {2, 1, 1}}, ConvCase{5, 14, 14, 32, 48, 3, 3, {1, 1, 1}},
        ConvCase{4, 30, 30, 24, 24, 3, 3, {1, 1, 24}}, ConvCase{64, 1, 1, 64, 100, 1, 1, {1, 0, 1}}}) {
    const Sizes z = sizes(t);
    std::vector<std::vector<float>> first;
    for (int threads = 1; threads <= 3; ++threads) {
      Portable backend(threads);
      const Guarded<float> x(z.x, numbers(z.x.size(), 1)), w(z.w, numbers(z.w.size(), 2)),
          dy(z.y, numbers(z.y.size(), 3));
      const Guarded<float> y(z.y, {}), dx(z.x, {}), dw(z.w, numbers(z.w.size(), 4));
      backend.conv2d(x, w, t.spec, {}, y);
      backend.conv2d_input_gradient(dy, w, t.spec, dx.tensor());
      backend.conv2d_weight_gradient(x, dy, t.spec, {dw, Write::accumulate});
      const std::vector<std::vector<float>> got = {y.values(), dx.values(), dw.values()};
      if (threads == 1) first = got;
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_EQ(0, std::memcmp(got[i].data(), first[i].data(), got[i].size() * sizeof(float)))
            << threads << " threads, result " << i;
    }
  }
}

template <class T>
double root_mean_square(const std::vector<T>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return std::sqrt(sum / double(a.size()));
}

// Whole batches are done by Winograd's algorithm, single images are too small for it. Its error must stay
// near that of direct summation: see winograd_kernels.h.
TEST(Convolution, WinogradIsNearlyAsAccurateAsDirectSummation) {
  const ConvCase t{16, 8, 8, 64, 64, 3, 3, {1, 1, 1}};
  const Reference r(t);
  const Shape x_image{1, 8, 8, t.c}, y_image{1, 8, 8, t.k};
  for (Isa isa : isas()) {
    SCOPED_TRACE(name_of(isa));
    const IsaScope scope(isa);
    Portable backend(2);
    const Guarded<float> x(r.z.x, r.x), w(r.z.w, r.w), dy(r.z.y, r.dy);
    const std::vector<double> zero(r.w.size(), 0.0);
    std::vector<std::vector<float>> results[2];
    for (bool winograd : {false, true}) {
      const Guarded<float> y(r.z.y, {}), dx(r.z.x, {}), dw(r.z.w, zero);
      const int64_t step = winograd ? t.n : 1;
      for (int64_t n = 0; n < t.n; n += step) {
        const auto images = [&](const Tensor& all, const Shape& image) {
          return Tensor{all.as<float>() + n * image.size(), {step, image[1], image[2], image[3]}, DType::f32};
        };
        backend.conv2d(images(x, x_image), w, t.spec, {}, images(y, y_image));
        backend.conv2d_input_gradient(images(dy, y_image), w, t.spec, images(dx, x_image));
        backend.conv2d_weight_gradient(images(x, x_image), images(dy, y_image), t.spec,
                                       {dw, Write::accumulate});
      }
      results[winograd] = {y.values(), dx.values(), dw.values()};
    }
    const std::vector<double>* exact[] = {&r.y, &r.dx, &r.dw};
    for (size_t i = 0; i < 3; ++i) {
      const double direct = root_mean_square(results[0][i], *exact[i]);
      const double winograd = root_mean_square(results[1][i], *exact[i]);
      EXPECT_NE(results[0][i], results[1][i]) << "both were done in the same way";
      EXPECT_LT(winograd, 6 * direct) << "result " << i;
      EXPECT_LT(winograd, 2e-6 * root_mean_square(std::vector<float>(exact[i]->size()), *exact[i]));
    }
  }
}

TEST(Convolution, EmptyBatchGivesZeroWeightGradient) {
  Portable backend(1);
  const Guarded<float> x({0, 8, 8, 4}, {}), dy({0, 8, 8, 4}, {}), dw({4, 3, 3, 4}, numbers(144, 1));
  backend.conv2d_weight_gradient(x, dy, {1, 1, 1}, dw.tensor());
  EXPECT_EQ(dw.values(), std::vector<float>(144, 0.0f));
}

TEST(Convolution, ShapesThatDoNotBelongTogetherAreRefused) {
  Portable backend(1);
  const Guarded<float> x({1, 8, 8, 4}, {}), w({6, 3, 3, 4}, {}), y({1, 8, 8, 6}, {}), wrong({1, 7, 8, 6}, {});
  backend.conv2d(x, w, {1, 1, 1}, {}, y);
  EXPECT_THROW(backend.conv2d(x, w, {1, 1, 1}, {}, wrong), Error);
  EXPECT_THROW(backend.conv2d(x, w, {1, 1, 2}, {}, y), Error);
  EXPECT_THROW(backend.conv2d_input_gradient(wrong, w, {1, 1, 1}, x.tensor()), Error);
  EXPECT_THROW(backend.conv2d_weight_gradient(x, wrong, {1, 1, 1}, w.tensor()), Error);
  const Guarded<float> a({3, 4}, {}), b({5, 6}, {}), c({3, 6}, {});
  EXPECT_THROW(backend.matmul(a, false, b, false, {}, c.tensor()), Error);
}

}  // namespace
}  // namespace retort
