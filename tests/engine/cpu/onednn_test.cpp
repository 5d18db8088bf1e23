// oneDNN's convolutions and matrix products against Portable in f64, in every write mode, and their bits for
// several numbers of threads.
#include "engine/cpu/onednn/onednn.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <vector>

#include "engine/cpu/portable.h"

namespace retort {
namespace {

constexpr float guard_value = 12345.f;

// f32 memory with guards around it.
class Buffer {
 public:
  Buffer(const Shape& shape, uint32_t seed)
      : shape_(shape), data_(size_t(shape.size()) + 2 * guard, guard_value) {
    for (int64_t i = 0; i < shape.size(); ++i) {
      seed = seed * 1664525u + 1013904223u;
      data_[size_t(i) + guard] = float(seed >> 8) / float(1 << 24) - 0.5f;
    }
  }
  Tensor tensor() { return {data_.data() + guard, shape_, DType::f32}; }
  std::vector<float> values() const { return {data_.begin() + guard, data_.end() - guard}; }
  bool guards_intact() const {
    const auto untouched = [](float v) { return v == guard_value; };
    return std::all_of(data_.begin(), data_.begin() + guard, untouched) &&
           std::all_of(data_.end() - guard, data_.end(), untouched);
  }

 private:
  static constexpr int guard = 48;
  Shape shape_;
  std::vector<float> data_;
};

// The same values in f64.
struct Reference {
  std::vector<double> values;
  Shape shape;
  explicit Reference(Buffer& from) : shape(from.tensor().shape) {
    for (float v : from.values()) values.push_back(double(v));
  }
  Tensor tensor() { return {values.data(), shape, DType::f64}; }
};

void expect_near(const Buffer& found, const Reference& expected, const std::string& what) {
  double largest = 0;
  for (double v : expected.values) largest = std::max(largest, std::abs(v));
  const std::vector<float> values = found.values();
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_NEAR(double(values[i]), expected.values[i], 1e-5 * largest) << what << ", element " << i;
  }
  EXPECT_TRUE(found.guards_intact()) << what;
}

struct ConvCase {
  const char* name;
  int64_t images, size, channels, outputs;
  int kernel, stride, pad, groups;
};

const ConvCase conv_cases[] = {
    {"first", 7, 32, 3, 16, 3, 1, 1, 1},        {"inner", 5, 17, 16, 32, 3, 1, 1, 1},
    {"strided", 67, 10, 16, 32, 3, 2, 1, 1},    {"strided, odd", 3, 9, 32, 16, 3, 2, 1, 1},
    {"projection", 40, 8, 32, 64, 1, 2, 0, 1},  {"pointwise", 9, 8, 24, 40, 1, 1, 0, 1},
    {"odd channels", 4, 7, 5, 9, 3, 1, 1, 1},   {"grouped", 6, 8, 32, 32, 3, 1, 1, 4},
    {"depthwise", 6, 12, 32, 32, 3, 1, 1, 32},  {"depthwise, odd", 5, 9, 20, 20, 3, 2, 1, 20},
    {"multiplier 2", 3, 8, 8, 16, 3, 1, 1, 8},  {"large kernel", 2, 30, 3, 8, 7, 2, 3, 1},
    {"no padding", 33, 6, 16, 16, 3, 1, 0, 1},  {"one image", 1, 16, 32, 32, 3, 1, 1, 1},
    {"many images", 130, 4, 16, 16, 3, 1, 1, 1}};

struct ConvShapes {
  Shape x, w, y;
  Conv2dSpec spec;
  explicit ConvShapes(const ConvCase& c) : spec{c.stride, c.pad, c.groups} {
    const int64_t out = (c.size + 2 * c.pad - c.kernel) / c.stride + 1;
    x = {c.images, c.size, c.size, c.channels};
    w = {c.outputs, c.kernel, c.kernel, c.channels / c.groups};
    y = {c.images, out, out, c.outputs};
  }
};

class OneDnnTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!make_onednn(1)) GTEST_SKIP() << "built without oneDNN";
  }
};

TEST_F(OneDnnTest, ForwardMatchesPortableWithEveryEpilogue) {
  const auto onednn = make_onednn(2);
  Portable portable(1);
  for (const ConvCase& c : conv_cases) {
    const ConvShapes s(c);
    Buffer x(s.x, 1), w(s.w, 2), bias({c.outputs}, 3), add(s.y, 4);
    Reference rx(x), rw(w), rbias(bias), radd(add);
    for (int mode = 0; mode < 12; ++mode) {
      const bool with_bias = mode & 1, with_relu = mode & 2;
      const int added = mode / 4;  // nothing, another tensor, y itself
      Buffer y(s.y, 5);
      Reference ry(y);
      const auto epilogue = [&](const Tensor& b, const Tensor& a, const Tensor& self) {
        return ConvEpilogue{with_bias ? b : Tensor(),
                            added == 0   ? Tensor()
                            : added == 1 ? a
                                         : self,
                            with_relu};
      };
      onednn->conv2d(x.tensor(), w.tensor(), s.spec, epilogue(bias.tensor(), add.tensor(), y.tensor()),
                     y.tensor());
      portable.conv2d(rx.tensor(), rw.tensor(), s.spec, epilogue(rbias.tensor(), radd.tensor(), ry.tensor()),
                      ry.tensor());
      expect_near(y, ry, text(c.name, ", forward, mode ", mode));
    }
  }
}

TEST_F(OneDnnTest, GradientsMatchPortableInBothWriteModes) {
  const auto onednn = make_onednn(2);
  Portable portable(1);
  for (const ConvCase& c : conv_cases) {
    const ConvShapes s(c);
    Buffer x(s.x, 1), w(s.w, 2), dy(s.y, 3);
    Reference rx(x), rw(w), rdy(dy);
    for (Write write : {Write::overwrite, Write::accumulate, Write::overwrite}) {
      const std::string mode = write == Write::accumulate ? ", accumulate" : ", overwrite";
      Buffer dx(s.x, 4), dw(s.w, 5);
      Reference rdx(dx), rdw(dw);
      onednn->conv2d_input_gradient(dy.tensor(), w.tensor(), s.spec, {dx.tensor(), write});
      portable.conv2d_input_gradient(rdy.tensor(), rw.tensor(), s.spec, {rdx.tensor(), write});
      expect_near(dx, rdx, c.name + (", input gradient" + mode));
      onednn->conv2d_weight_gradient(x.tensor(), dy.tensor(), s.spec, {dw.tensor(), write});
      portable.conv2d_weight_gradient(rx.tensor(), rdy.tensor(), s.spec, {rdw.tensor(), write});
      expect_near(dw, rdw, c.name + (", weight gradient" + mode));
      EXPECT_TRUE(x.guards_intact() && w.guards_intact() && dy.guards_intact()) << c.name;
    }
  }
}

struct MatrixCase {
  int64_t rows, inner, columns;
};

const MatrixCase matrix_cases[] = {{64, 64, 100}, {100, 64, 64},   {1, 5, 3},       {17, 1, 33},
                                   {7, 300, 2},   {300, 150, 190}, {129, 257, 193}, {2, 700, 1000}};

TEST_F(OneDnnTest, MatmulMatchesPortableInEveryMode) {
  const auto onednn = make_onednn(2);
  Portable portable(1);
  for (const MatrixCase& m : matrix_cases) {
    for (int mode = 0; mode < 16; ++mode) {
      const bool ta = mode & 1, tb = mode & 2, with_bias = mode & 4;
      const Write write = mode & 8 ? Write::accumulate : Write::overwrite;
      Buffer a(ta ? Shape{m.inner, m.rows} : Shape{m.rows, m.inner}, 1);
      Buffer b(tb ? Shape{m.columns, m.inner} : Shape{m.inner, m.columns}, 2);
      Buffer bias({m.columns}, 3), c({m.rows, m.columns}, 4);
      Reference ra(a), rb(b), rbias(bias), rc(c);
      onednn->matmul(a.tensor(), ta, b.tensor(), tb, with_bias ? bias.tensor() : Tensor(),
                     {c.tensor(), write});
      portable.matmul(ra.tensor(), ta, rb.tensor(), tb, with_bias ? rbias.tensor() : Tensor(),
                      {rc.tensor(), write});
      expect_near(c, rc, text("matmul ", m.rows, " x ", m.inner, " x ", m.columns, ", mode ", mode));
    }
  }
}

TEST_F(OneDnnTest, BitsDoNotDependOnTheNumberOfThreads) {
  // Every result in turn, for one number of threads.
  const auto results = [](int threads) {
    const auto onednn = make_onednn(threads);
    std::vector<std::vector<float>> all;
    for (const ConvCase& c : conv_cases) {
      const ConvShapes s(c);
      Buffer x(s.x, 1), w(s.w, 2), dy(s.y, 3), bias({c.outputs}, 4), y(s.y, 5), dx(s.x, 6), dw(s.w, 7);
      onednn->conv2d(x.tensor(), w.tensor(), s.spec, {bias.tensor(), dy.tensor(), true}, y.tensor());
      onednn->conv2d_input_gradient(dy.tensor(), w.tensor(), s.spec, dx.tensor());
      onednn->conv2d_weight_gradient(x.tensor(), dy.tensor(), s.spec, dw.tensor());
      all.insert(all.end(), {y.values(), dx.values(), dw.values()});
    }
    for (const MatrixCase& m : matrix_cases) {
      Buffer a({m.rows, m.inner}, 1), b({m.inner, m.columns}, 2), c({m.rows, m.columns}, 3);
      onednn->matmul(a.tensor(), false, b.tensor(), false, {}, c.tensor());
      all.push_back(c.values());
    }
    return all;
  };
  const auto one = results(1);
  for (int threads : {2, 3, 8}) {
    const auto several = results(threads);
    for (size_t i = 0; i < one.size(); ++i) {
      ASSERT_EQ(std::memcmp(one[i].data(), several[i].data(), one[i].size() * sizeof(float)), 0)
          << threads << " threads, result " << i;
    }
  }
}

TEST_F(OneDnnTest, F64IsPortables) {
  const auto onednn = make_onednn(1);
  Portable portable(1);
  const ConvShapes s(conv_cases[1]);
  Buffer x(s.x, 1), w(s.w, 2), y(s.y, 3);
  Reference rx(x), rw(w), found(y), expected(y);
  onednn->conv2d(rx.tensor(), rw.tensor(), s.spec, {}, found.tensor());
  portable.conv2d(rx.tensor(), rw.tensor(), s.spec, {}, expected.tensor());
  EXPECT_EQ(found.values, expected.values);
}

int process_threads() {
  return int(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

TEST_F(OneDnnTest, OneDnnStartsNoThreadsAndLeavesTheCallersOpenMpAsItWas) {
  const auto max_threads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (max_threads) set_threads(7);
  const int before = process_threads();
  {
    const auto onednn = make_onednn(2);
    const ConvShapes s({"", 16, 16, 32, 32, 3, 1, 1, 1});
    Buffer x(s.x, 1), w(s.w, 2), y(s.y, 3);
    onednn->conv2d(x.tensor(), w.tensor(), s.spec, {}, y.tensor());
    onednn->conv2d_input_gradient(y.tensor(), w.tensor(), s.spec, x.tensor());
    onednn->conv2d_weight_gradient(x.tensor(), y.tensor(), s.spec, w.tensor());
    EXPECT_EQ(process_threads(), before + 1) << "the pool's second thread is the only one";
  }
  if (max_threads) {
    EXPECT_EQ(max_threads(), 7);
  }
}

TEST_F(OneDnnTest, DescribesItself) {
  EXPECT_EQ(make_onednn(1)->name(), "onednn");
  const std::string description = make_onednn(2)->description();
  EXPECT_EQ(description.rfind("oneDNN ", 0), 0u) << description;
  EXPECT_NE(description.find(", 2 threads"), std::string::npos) << description;
}

}  // namespace
}  // namespace retort
