// Methods that compare features against values that their originals' code gives, to ten digits; inputs are
// sines and cosines of the element's number in PyTorch's order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "distill/methods/kdsvd.h"
#include "distill/methods/nst.h"
#include "distill/methods/ofd.h"
#include "distill/methods/pkt.h"
#include "distill/methods/registry.h"
#include "distill/methods/sp.h"
#include "distill/methods/vid.h"
#include "layers/module.h"
#include "tests/support/expect_error.h"

namespace retort {
namespace {

using Values = std::vector<double>;
using Formula = std::function<double(double n)>;

const Formula students = [](double n) { return std::sin(1 + n); };
const Formula teachers = [](double n) { return std::cos(0.7 * n); };

class RivalFeatures : public ::testing::Test {
 protected:
  // shape: N,C,H,W or N,D, elements numbered in that order; the maps become N,H,W,C.
  Var made(const Shape& shape, const Formula& formula) {
    const bool map = shape.rank() == 4;
    const int64_t places = map ? shape[2] * shape[3] : 1, channels = map ? shape[1] : shape.last();
    Values values(size_t(shape.size()));
    for (int64_t i = 0; i < shape.size(); ++i) {
      const int64_t n = i / (channels * places), c = i / places % channels, place = i % places;
      values[size_t(map ? (n * places + place) * channels + c : i)] = formula(double(i));
    }
    kept_.push_back(
        device_->persistent(map ? Shape{shape[0], shape[2], shape[3], shape[1]} : shape, DType::f64));
    write_values(*device_, kept_.back(), values);
    return Var(kept_.back());
  }

  using Loss = std::function<Var(const Pass& pass, const Var& student, const Var& teacher)>;
  // Value, sum of the absolute gradient and its first element, of NCHW also the first.
  void expect(const Loss& loss, const Var& student, const Var& teacher, double value, double gradient,
              double first = 0) {
    device_->step_arena().rewind();
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Var leaf = tape.leaf(student);
    const Var result = loss(pass, leaf, teacher);
    EXPECT_NEAR(read_values(*device_, result)[0], value, 6e-11 * std::max(1.0, std::abs(value)));
    tape.backward(result);
    const Values found = read_values(*device_, tape.gradient(leaf));
    double sum = 0;
    for (const double x : found) sum += std::abs(x);
    EXPECT_NEAR(sum, gradient, 6e-11 * std::max(1.0, std::abs(gradient)));
    if (first != 0) {
      EXPECT_NEAR(found[0], first, 6e-11);
    }
  }

  std::unique_ptr<Device> device_ = Device::open({.name = "portable", .threads = 2});
  std::vector<Array> kept_;
};

TEST_F(RivalFeatures, Similarity) {
  expect(similarity_loss, made({4, 3, 2, 2}, students), made({4, 2, 3, 3}, teachers), 0.0624730416,
         0.4483085374, .0132786970);
}

TEST_F(RivalFeatures, Neighbourhood) {
  expect(neighbourhood_loss, made({4, 3}, students), made({4, 5}, teachers), 0.0177378827, 0.1888372706,
         -.0281271674);
}

TEST_F(RivalFeatures, NeighbourhoodOfNothingHasNoGradient) {
  const Var student = made({3, 2}, [](double n) { return n < 2 ? 0.0 : std::sin(n); });
  Tape tape(*device_);
  const Pass pass{*device_, &tape, true};
  const Var leaf = tape.leaf(student);
  tape.backward(neighbourhood_loss(pass, leaf, made({3, 5}, teachers)));
  const Values gradient = read_values(*device_, tape.gradient(leaf));
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (i < 2)
      EXPECT_EQ(gradient[i], 0) << i;
    else
      EXPECT_TRUE(std::isfinite(gradient[i]) && gradient[i] != 0) << i;
  }
}

// Where both nearly agree the divergence is far smaller than its parts.
TEST_F(RivalFeatures, NeighbourhoodKeepsItsDigitsInF32) {
  const Shape shape{64, 32};
  const auto value = [&](DType type) {
    device_->step_arena().rewind();
    const Pass pass{*device_};
    const Var s = pass.make(shape, type), t = pass.make(shape, type);
    Values of_student, of_teacher;
    for (int64_t i = 0; i < shape.size(); ++i) {
      const auto x = float(std::sin(0.37 * double(i * i % 1009)));
      of_teacher.push_back(x);
      of_student.push_back(x + 0.1f * float(std::cos(0.11 * double(i * i % 997))));
      of_student.back() = float(of_student.back());
    }
    write_values(*device_, s, of_student);
    write_values(*device_, t, of_teacher);
    return read_values(*device_, neighbourhood_loss(pass, s, t))[0];
  };
  const double exact = value(DType::f64);
  EXPECT_LT(exact, 1e-5);
  EXPECT_NEAR(value(DType::f32), exact, 1e-3 * exact);
}

TEST_F(RivalFeatures, Selectivity) {
  expect(selectivity_loss, made({2, 3, 4, 4}, students), made({2, 5, 4, 4}, teachers), 1.3444248431,
         1.0745642131, .0109027600);
  expect(selectivity_loss, made({2, 3, 4, 4}, students), made({2, 5, 2, 2}, teachers), 0.6544135137,
         4.9738434277);
}

TEST_F(RivalFeatures, Margins) {
  const Values found = activation_margins({1, .5, -2, .1, 0, 0}, {0, .3, -1, .5, .2, -.4});
  const Values expected = {-.7978845608, -.3075128801, -2.0183208677, -.3, 0, -.4};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 6e-11) << i;
}

TEST_F(RivalFeatures, PartialL2) {
  const Array margins = device_->persistent({4}, DType::f64);
  write_values(*device_, margins, activation_margins({1, .5, 2, .1}, {0, .3, -1, .5}));
  const Loss loss = [&](const Pass& pass, const Var& s, const Var& t) {
    return partial_l2(pass, s, t, margins);
  };
  const Shape shape{2, 4, 4, 4};
  const auto doubled = [](const Formula& f) { return [f](double n) { return 2 * f(n); }; };
  expect(loss, made(shape, students), made(shape, teachers), 52.6238812540, 88.0525977672, -.1585290152);
  expect(loss, made(shape, doubled(students)), made(shape, doubled(teachers)), 191.2967695570,
         165.2994250596);
}

// A comparison with NaN is false: written the other way round, it would have counted as nothing to learn.
TEST_F(RivalFeatures, PartialL2ShowsNan) {
  const auto loss = [&](const Values& x, const Values& target, const Values& margins) {
    const auto array = [&](const Shape& shape, const Values& values) {
      kept_.push_back(device_->persistent(shape, DType::f64));
      write_values(*device_, kept_.back(), values);
      return Var(kept_.back());
    };
    const Var of =
        partial_l2(Pass{*device_}, array({1, 1, 1, 2}, x), array({1, 1, 1, 2}, target), array({2}, margins));
    return read_values(*device_, of)[0];
  };
  const double nan = std::nan("");
  EXPECT_EQ(loss({1, -2}, {3, -1}, {-1, -1}), 4);
  for (const size_t i : {0, 1}) {
    Values x = {1, -2}, target = {3, -1}, margins = {-1, -1};
    EXPECT_TRUE(std::isnan(loss((x[i] = nan, x), {3, -1}, margins))) << i;
    EXPECT_TRUE(std::isnan(loss({1, -2}, (target[i] = nan, target), margins))) << i;
  }
  EXPECT_TRUE(std::isnan(loss({1, -2}, {3, -1}, {-1, nan})));
}

TEST_F(RivalFeatures, SingularVectors) {
  const Formula s = [](double n) { return std::sin(n * n); },
                t = [](double n) { return std::cos(.3 * n * n); };
  const auto kdsvd = [&](const std::vector<Shape>& stages, double value, double gradient, double first) {
    MethodContext context(DType::f64);
    DistillInputs inputs;
    const Shape stem{2, 1, 1, 1};
    std::vector<Var> students_maps = {made(stem, s)}, teachers_maps = {made(stem, t)};
    for (const Shape& shape : stages) {
      students_maps.push_back(made(shape, s));
      teachers_maps.push_back(made(shape, t));
    }
    for (const Var& map : students_maps) context.student.stages.push_back(map.shape());
    context.teacher = context.student;
    const auto method = make_distiller(method_settings("kdsvd"), *device_, context);
    const Var logits = made({2, 1}, s);
    const Loss loss = [&](const Pass& pass, const Var& first_map, const Var&) {
      inputs = {};
      inputs.logits = {logits, logits};
      inputs.features.student.stages = students_maps;
      inputs.features.student.stages[1] = first_map;
      inputs.features.student.pooled = inputs.features.teacher.pooled = logits;
      inputs.features.teacher.stages = teachers_maps;
      return total(method->distillation_terms(inputs, pass), pass);
    };
    expect(loss, students_maps[1], {}, value, gradient, first);
  };
  kdsvd({{2, 3, 8, 8}, {2, 4, 4, 4}}, 0.0924975505, 6.7399745815, .0061172371);
  kdsvd({{2, 3, 8, 8}, {2, 4, 4, 4}, {2, 5, 2, 2}}, 0.1231361824, 6.7399745815, .0061172371);
}

// Equal singular values have no vectors of their own: what the original makes NaN of is left out.
TEST_F(RivalFeatures, SingularVectorsOfConstantMaps) {
  MethodContext context(DType::f64);
  context.student.stages = context.teacher.stages = {{1, 4, 4, 2}, {1, 4, 4, 2}, {1, 2, 2, 3}};
  const auto method = make_distiller(method_settings("kdsvd"), *device_, context);
  const Formula constant = [](double) { return 1.5; };
  Tape tape(*device_);
  const Pass pass{*device_, &tape, true};
  DistillInputs inputs;
  const Var logits = made({2, 1}, constant);
  inputs.logits = {logits, logits};
  inputs.features.student.pooled = inputs.features.teacher.pooled = logits;
  for (const Shape& shape : {Shape{2, 2, 4, 4}, Shape{2, 2, 4, 4}, Shape{2, 3, 2, 2}}) {
    inputs.features.student.stages.push_back(tape.leaf(made(shape, constant)));
    inputs.features.teacher.stages.push_back(made(shape, constant));
  }
  const Var loss = total(method->distillation_terms(inputs, pass), pass);
  tape.backward(loss);
  EXPECT_NEAR(read_values(*device_, loss)[0], 0, 1e-12);
  for (const Var& map : inputs.features.student.stages) {
    for (const double x : read_values(*device_, tape.gradient(map))) EXPECT_TRUE(std::isfinite(x));
  }
}

TEST_F(RivalFeatures, EigenvectorsOfAMatrix) {
  const int64_t d = 33;  // more than the lanes of a device
  Values a(size_t(d * d));
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < d; ++j)
      a[size_t(i * d + j)] = std::sin(0.3 * double((i + 1) * (j + 1))) + (i == j ? double(i) : 0);
  }
  const Array matrix = device_->persistent({1, d, d}, DType::f64);
  write_values(*device_, matrix, a);
  const Pass pass{*device_};
  const Eigen eigen = symmetric_eigen(pass, matrix);
  const Values w = read_values(*device_, eigen.values), v = read_values(*device_, eigen.vectors);
  for (int64_t r = 0; r < d; ++r) {
    if (r > 0) {
      EXPECT_GE(w[size_t(r - 1)], w[size_t(r)]);
    }
    double square = 0;
    for (int64_t i = 0; i < d; ++i) {
      double product = 0;
      for (int64_t j = 0; j < d; ++j) product += a[size_t(i * d + j)] * v[size_t(r * d + j)];
      EXPECT_NEAR(product, w[size_t(r)] * v[size_t(r * d + i)], 1e-11);
      square += v[size_t(r * d + i)] * v[size_t(r * d + i)];
    }
    EXPECT_NEAR(square, 1, 1e-13);
  }
}

// No rotation would run, and the identity's vectors would look like the map's.
TEST_F(RivalFeatures, EigenvectorsOfWhatIsNotFiniteAreNan) {
  for (const double bad : {std::nan(""), double(INFINITY)}) {
    const Array matrices = device_->persistent({2, 2, 2}, DType::f64);
    write_values(*device_, matrices, Values{2, 1, 1, 2, 2, bad, bad, 2});
    const Values v = read_values(*device_, symmetric_eigen(Pass{*device_}, matrices).vectors);
    for (size_t i = 0; i < v.size(); ++i) EXPECT_EQ(std::isnan(v[i]), i >= 4) << i;
  }
}

TEST_F(RivalFeatures, VariationalInformation) {
  const auto vid = [&](const Shape& target, double value, double of_map, double of_rho) {
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Var map = tape.leaf(made({2, 3, 4, 4}, students));
    const Var rho = tape.leaf(made({1, 2}, [](double) { return 4.9932291827; }));
    const auto weight = [&](int64_t in, double phase) {
      return made({2, in, 1, 1}, [phase](double n) { return .3 * std::cos(.7 * n + phase); });
    };
    Var x = target[2] < 4 ? adaptive_average_pool(pass, map, target[2], target[3]) : Var(map);
    x = conv2d(pass, x, weight(3, 0), {}, {});
    x = conv2d(pass, relu(pass, x), weight(2, 1), {}, {});
    x = conv2d(pass, relu(pass, x), weight(2, 2), {}, {});
    const Var loss = gaussian_loss(pass, x, made(target, teachers), reshape(pass, rho, {2}));
    EXPECT_NEAR(read_values(*device_, loss)[0], value, 1e-10);
    tape.backward(loss);
    double sum = 0, rho_sum = 0;
    for (const double g : read_values(*device_, tape.gradient(map))) sum += std::abs(g);
    for (const double g : read_values(*device_, tape.gradient(rho))) rho_sum += std::abs(g);
    EXPECT_NEAR(sum, of_map, 1e-10);
    if (of_rho != 0) {
      EXPECT_NEAR(rho_sum, of_rho, 1e-10);
    }
  };
  vid({2, 2, 4, 4}, 0.8555673894, .0010499878, .0892250354);
  vid({2, 2, 2, 2}, 0.8569396146, .0006610587, 0);
}

TEST_F(RivalFeatures, VidLearnsItsVariancesUnlessTheyAreFixed) {
  MethodContext context;
  context.student.stages = context.teacher.stages = {{1, 8, 8, 2}, {1, 8, 8, 3}, {1, 4, 4, 5}};
  const auto names = [&](const char* fixed) {
    MethodSettings settings = method_settings("vid");
    settings.set("fixed_variance", fixed);
    const auto method = make_distiller(settings, *device_, context);
    initialize(*method, *device_, 1);
    std::vector<std::string> all;
    for (const NamedParameter& p : parameters_of(*method)) all.push_back(p.name);
    return all;
  };
  EXPECT_EQ(names("false").size(), 8u);
  EXPECT_EQ(names("false")[3], "regressor1.rho");
  EXPECT_EQ(names("true").size(), 6u);
}

// Distillation of regions: maps 3 s and 3 t, classifiers without bias.
TEST_F(RivalFeatures, Regions) {
  const auto sdd = [&](const std::string& method,
                       const std::vector<std::pair<std::string, std::string>>& keys, int64_t side,
                       double value, double gradient) {
    MethodSettings settings = method_settings(method);
    for (const auto& [key, set] : keys) settings.set(key, set);
    const auto distiller = make_distiller(settings, *device_, DType::f64);
    const auto thrice = [](const Formula& f) { return [f](double n) { return 3 * f(n); }; };
    const Shape shape{2, 3, side, side};
    const Array labels = device_->persistent({2}, DType::i32);
    const int32_t y[] = {0, 4};
    device_->backend().upload(labels, y);
    const Var of_student = made({6, 3}, [](double n) { return std::sin(.3 * n); });
    const Var of_teacher = made({6, 3}, [](double n) { return std::cos(.3 * n); });
    const Var logits = made({2, 6}, students), pooled = made({2, 3}, students);
    const Loss loss = [&](const Pass& pass, const Var& s, const Var& t) {
      DistillInputs inputs;
      inputs.logits = {logits, logits};
      inputs.labels = Var(labels);
      inputs.features.student.pooled = inputs.features.teacher.pooled = pooled;
      inputs.features.student.map = s;
      inputs.features.teacher.map = t;
      inputs.classifiers.student = [&](const Var& rows) {
        return matmul(pass, rows, of_student, false, true);
      };
      inputs.classifiers.teacher = [&](const Var& rows) {
        return matmul(Pass{*device_}, rows, of_teacher, false, true);
      };
      return total(distiller->distillation_terms(inputs, pass), pass);
    };
    expect(loss, made(shape, thrice(students)), made(shape, thrice(teachers)), value, gradient);
  };
  sdd("sdd-kd", {{"alpha", "1"}, {"scales", "1,2"}}, 4, .1672513362, .9944263303);
  sdd("sdd-kd", {{"alpha", "1"}}, 4, 2.9692282351, 3.1113182286);
  sdd("sdd-kd", {{"alpha", "1"}}, 2, .9997645256, 1.2493331988);
  sdd("sdd-dkd", {}, 4, 22.3604650353, 26.3216203831);
  sdd("sdd-nkd", {{"all_classes", "true"}}, 4, 319.4327576149, 25.3848547649);
}

}  // namespace
}  // namespace retort
