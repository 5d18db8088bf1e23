// Methods that compare features against the values that PyTorch computes, see tests/data/features.py; what
// they refuse; and how crd draws and remembers.
#include <set>

#include "distill/methods/at.h"
#include "distill/methods/crd.h"
#include "distill/methods/keyed_permutation.h"
#include "distill/methods/loss_probe.h"
#include "distill/methods/reviewkd.h"
#include "distill/methods/rkd.h"
#include "layers/state.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference.h"

namespace retort::testing {
namespace {

using nlohmann::json;
using Values = std::vector<double>;

// Values in PyTorch's order (N,C,H,W) in ours (N,H,W,C), and back.
Values channels_last(const Values& x, const Shape& nhwc, bool back = false) {
  if (nhwc.rank() != 4) return x;
  Values y(x.size());
  size_t from = 0;
  for (int64_t n = 0; n < nhwc[0]; ++n) {
    for (int64_t c = 0; c < nhwc[3]; ++c) {
      for (int64_t place = 0; place < nhwc[1] * nhwc[2]; ++place, ++from) {
        const auto to = size_t((n * nhwc[1] * nhwc[2] + place) * nhwc[3] + c);
        if (back)
          y[from] = x[to];
        else
          y[to] = x[from];
      }
    }
  }
  return y;
}

Shape our_shape(const json& spec) {
  const Shape s = shape_of(spec["shape"]);
  return s.rank() == 4 ? Shape{s[0], s[2], s[3], s[1]} : s;
}

Values input_values(const json& spec) {
  const Shape shape = shape_of(spec["shape"]);
  Values values;
  if (spec.contains("name")) {
    values = formula_values(spec, shape.size());
  } else {
    for (int64_t n = 0; n < shape.size(); ++n) {
      const double x = spec["phase"].get<double>() + spec["scale"].get<double>() * double(n);
      values.push_back(spec["formula"] == "sin" ? std::sin(x) : std::cos(x));
    }
  }
  if (spec.value("unit", false)) {
    const auto columns = size_t(shape.last());
    for (size_t row = 0; row < values.size(); row += columns) {
      double square = 0;
      for (size_t i = row; i < row + columns; ++i) square += values[i] * values[i];
      for (size_t i = row; i < row + columns; ++i) values[i] /= std::sqrt(square);
    }
  }
  return channels_last(values, our_shape(spec));
}

class FeatureReference : public ::testing::TestWithParam<Arithmetic> {
 protected:
  // f32: differences of nearly equal numbers, and batch norms of few values, keep fewer digits than one op.
  double tolerance() const { return GetParam().type == DType::f64 ? 1e-10 : 5e-4; }

  Var constant(const json& spec) {
    kept_.push_back(device_->persistent(our_shape(spec), GetParam().type));
    write_values(*device_, kept_.back(), input_values(spec));
    return Var(kept_.back());
  }
  Values gradient(Tape& tape, const Var& leaf) {
    return channels_last(read_values(*device_, tape.gradient(leaf)), leaf.shape(), true);
  }
  void expect_value(const json& expected, const Var& loss) {
    const double value = expected;
    EXPECT_NEAR(read_values(*device_, loss)[0], value, tolerance() * std::abs(value));
  }

  std::unique_ptr<Device> device_ = Device::open({GetParam().device, 2});
  std::vector<Array> kept_;
};

TEST_P(FeatureReference, LossesOfTwoMaps) {
  int compared = 0;
  const json file = reference_file("features.json");
  for (const json& c : file["cases"]) {
    const std::string method = c["method"];
    if (method != "at" && method != "rkd" && method != "hcl") continue;
    SCOPED_TRACE(method + " " + c["inputs"].dump());
    const json& settings = c["settings"];
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    const Var student = tape.leaf(constant(c["inputs"]["student"])),
              teacher = constant(c["inputs"]["teacher"]);
    Var loss;
    if (method == "at") {
      loss = affine(pass, attention_loss(pass, student, teacher), settings["weight"]);
    } else if (method == "rkd") {
      loss = add(pass, affine(pass, relational_distance_loss(pass, student, teacher), settings["distance"]),
                 affine(pass, relational_angle_loss(pass, student, teacher), settings["angle"]));
    } else {
      loss = hierarchical_context_loss(pass, student, teacher);
    }
    expect_value(c["value"], loss);
    tape.backward(loss);
    expect_reference(c["gradients"]["student"], gradient(tape, student), tolerance(), "gradient");
    ++compared;
  }
  EXPECT_EQ(compared, 10);
}

TEST_P(FeatureReference, Crd) {
  const json file = reference_file("features.json");
  for (const json& c : file["cases"]) {
    if (c["method"] != "crd") continue;
    const json& settings = c["settings"];
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    std::vector<int32_t> places;
    for (const auto& row : settings["indices"]) places.insert(places.end(), row.begin(), row.end());
    const Array index = device_->persistent({2, 3}, DType::i32);
    device_->backend().upload(index, places.data());
    const Array z = device_->persistent({2}, GetParam().type);
    const auto part = [&](int64_t i) {
      return Tensor{
          static_cast<std::byte*>(z.tensor.data) + size_t(i) * size_of(z.tensor.type), {1}, z.tensor.type};
    };
    const ContrastSpec spec{settings["samples"], settings["temperature"]};
    const Var v1 = tape.leaf(constant(c["inputs"]["v1"])), v2 = tape.leaf(constant(c["inputs"]["v2"]));
    const Var l1 = contrast_loss(pass, v1, constant(c["inputs"]["memory2"]), index, part(0), spec);
    const Var l2 = contrast_loss(pass, v2, constant(c["inputs"]["memory1"]), index, part(1), spec);
    expect_value(c["terms"]["L_1"], l1);
    expect_value(c["terms"]["L_2"], l2);
    const Values found = read_values(*device_, z);
    for (size_t i = 0; i < 2; ++i) {
      const double expected = c["Z"][i];
      EXPECT_NEAR(found[i], expected, tolerance() * expected);
    }
    tape.backward(add(pass, l1, l2));
    expect_reference(c["gradients"]["v1"], gradient(tape, v1), tolerance(), "gradient of v1");
    expect_reference(c["gradients"]["v2"], gradient(tape, v2), tolerance(), "gradient of v2");
    return;
  }
  FAIL() << "the file has no case of crd";
}

TEST_P(FeatureReference, WholeMethodsThatLearn) {
  int compared = 0;
  const json file = reference_file("features.json");
  for (const json& c : file["cases"]) {
    if (!c.contains("parameters")) continue;
    const std::string method = c["method"];
    SCOPED_TRACE(method + " " + c["inputs"].dump());
    MethodContext context(GetParam().type);
    DistillInputs inputs;
    Tape tape(*device_);
    const Pass pass{*device_, &tape, true};
    std::vector<Var> leaves;
    const auto& of_student = c["inputs"]["student"];
    const auto& of_teacher = c["inputs"]["teacher"];
    const bool pyramid = c.contains("pyramid");  // all maps are its levels
    for (size_t i = 0; i < of_student.size(); ++i) {
      const Var s = tape.leaf(constant(of_student[i])), t = constant(of_teacher[i]);
      leaves.push_back(s);
      if (!pyramid && i + 1 == of_student.size()) {
        context.student.pooled = {1, s.shape().last()};
        context.teacher.pooled = {1, t.shape().last()};
        inputs.features.student.pooled = s;
        inputs.features.teacher.pooled = t;
        continue;
      }
      const auto one = [](const Shape& map) { return Shape{1, map[1], map[2], map[3]}; };
      context.student.stages.push_back(one(s.shape()));
      context.teacher.stages.push_back(one(t.shape()));
      inputs.features.student.stages.push_back(s);
      inputs.features.teacher.stages.push_back(t);
      if (i == 0 || pyramid) continue;
      context.student.pre_relu.push_back(one(s.shape()));
      inputs.features.student.pre_relu.push_back(s);
      context.teacher.pre_relu.push_back(one(t.shape()));
      inputs.features.teacher.pre_relu.push_back(t);
    }
    for (const json& norm : c.value("norms", json::array()))
      context.teacher_norms.push_back({norm["gamma"], norm["beta"]});
    MethodSettings settings = method_settings(method);
    for (const auto& [key, value] : c["settings"].items()) settings.set(key, value);
    const auto distiller = make_distiller(settings, *device_, context);
    std::vector<HostTensor> state = state_of(*distiller, *device_);
    for (HostTensor& t : state) {
      if (t.name.ends_with("running_mean") || t.name.ends_with("running_var")) continue;
      ASSERT_TRUE(c["parameters"].contains(t.name)) << t.name;
      const json& rule = c["parameters"][t.name];
      ASSERT_EQ(t.shape, rule["shape"].get<std::vector<int64_t>>()) << t.name;
      const Values values = formula_values(rule, shape_of(rule["shape"]).size());
      t.type = DType::f64;
      t.data.resize(values.size() * sizeof(double));
      std::copy_n(reinterpret_cast<const std::byte*>(values.data()), t.data.size(), t.data.data());
    }
    load_state(*distiller, *device_, state, "the closed formula");
    const Var logits = pass.make({of_student[0]["shape"][0], 1}, GetParam().type);
    device_->backend().fill(logits, 0);
    inputs.logits = {logits, logits};
    const Var loss = total(distiller->distillation_terms(inputs, pass), pass);
    expect_value(c["value"], loss);
    tape.backward(loss);
    for (size_t i = 0; i < leaves.size(); ++i) {
      const std::string name = text("student", i);
      if (c["gradients"].contains(name)) {
        expect_reference(c["gradients"][name], gradient(tape, leaves[i]), tolerance(), name);
      }
    }
    for (const NamedParameter& p : parameters_of(*distiller)) {
      if (!c["gradients"].contains(p.name)) continue;
      const HostTensor found = to_file(*device_, p.name, p.parameter->grad);
      Values values;
      if (found.type == DType::f32)
        values.assign(found.values<float>().begin(), found.values<float>().end());
      else
        values.assign(found.values<double>().begin(), found.values<double>().end());
      expect_reference(c["gradients"][p.name], values, tolerance(), "gradient of " + p.name);
    }
    ++compared;
  }
  EXPECT_EQ(compared, 19);
}

INSTANTIATE_TEST_SUITE_P(, FeatureReference, ::testing::ValuesIn(arithmetics()), name_of_arithmetic);

TEST(KeyedPermutation, EveryPlaceIsTakenOnce) {
  for (const uint32_t n : {1u, 2u, 3u, 17u, 64u, 65u, 1000u, 49500u}) {
    const KeyedPermutation permutation(n, {{n, 2, 3, 4}});
    std::vector<bool> taken(n, false);
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t place = permutation(i);
      ASSERT_LT(place, n);
      ASSERT_FALSE(taken[place]) << n << " " << i;
      taken[place] = true;
    }
  }
}

TEST(KeyedPermutation, TheFirstPlacesAreDrawnUniformly) {
  // Of 50 places the first 10 under 4000 keys: each is drawn 800 times, with deviation 25.
  std::vector<int> drawn(50, 0);
  for (uint32_t key = 0; key < 4000; ++key) {
    const KeyedPermutation permutation(50, random4(1, Purpose::contrast_negatives, 1, key, 0));
    for (uint32_t i = 0; i < 10; ++i) ++drawn[permutation(i)];
  }
  for (const int count : drawn) EXPECT_NEAR(count, 800, 130);
}

// crd over a set of 12 images of 3 classes of which 9 are trained on.
struct CrdRun {
  static constexpr int64_t batch = 4, width = 8;
  std::unique_ptr<Device> device = Device::open({.name = "portable", .threads = 2});
  MethodContext context{DType::f64};
  std::unique_ptr<Distiller> distiller;
  std::vector<int32_t> images = {1, 4, 8, 11};

  explicit CrdRun(int negatives) {
    context.student.pooled = {1, 5};
    context.teacher.pooled = {1, 6};
    context.seed = 3;
    for (int32_t i = 0; i < 12; ++i) context.labels.push_back(i % 3);
    context.samples = {1, 2, 3, 4, 6, 8, 9, 10, 11};
    MethodSettings settings = method_settings("crd");
    settings.set("negatives", std::to_string(negatives));
    settings.set("width", std::to_string(width));
    distiller = make_distiller(settings, *device, context);
    initialize(*distiller, *device, 3);
  }

  Values terms(bool training = true) {
    device->step_arena().rewind();
    const Pass pass{*device, nullptr, training};
    DistillInputs inputs;
    const auto ints = [&](const std::vector<int32_t>& values) {
      Var v = pass.make({int64_t(values.size())}, DType::i32);
      device->backend().upload(v, values.data());
      return v;
    };
    const auto reals = [&](const char* name, const Shape& shape) {
      Var v = pass.make(shape, DType::f64);
      write_values(*device, v, closed_values(name, shape.size()));
      return v;
    };
    std::vector<int32_t> labels;
    for (const int32_t image : images) labels.push_back(context.labels[size_t(image)]);
    inputs.logits = {reals("logits", {batch, 3}), reals("logits", {batch, 3})};
    inputs.labels = ints(labels);
    inputs.indices = ints(images);
    inputs.features.student.pooled = reals("student", {batch, 5});
    inputs.features.teacher.pooled = reals("teacher", {batch, 6});
    Values values;
    for (const LossTerm& term : distiller->distillation_terms(inputs, pass)) {
      values.push_back(read_values(*device, term.value)[0]);
    }
    return values;
  }

  Values state(const std::string& name) {
    for (const HostTensor& t : state_of(*distiller, *device)) {
      if (t.name == name) return {t.values<double>().begin(), t.values<double>().end()};
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }
};

TEST(Crd, RemembersTheBatchAndNothingElse) {
  CrdRun run(2);
  const Values before = run.state("student.memory");
  ASSERT_EQ(before.size(), 9u * CrdRun::width);
  run.terms();
  const Values after = run.state("student.memory");
  const std::set<size_t> places = {0, 3, 5, 8};  // of images 1, 4, 8 and 11
  for (size_t place = 0; place < 9; ++place) {
    double square = 0;
    bool same = true;
    for (size_t i = 8 * place; i < 8 * place + 8; ++i) {
      square += after[i] * after[i];
      same = same && after[i] == before[i];
    }
    EXPECT_EQ(same, places.count(place) == 0) << place;
    if (!same) {
      EXPECT_NEAR(square, 1, 1e-12);
    }
  }
}

TEST(Crd, ThePartitionIsSetByTheFirstBatchOnly) {
  CrdRun run(2);
  EXPECT_EQ(run.state("student.partition"), (Values{0}));
  run.terms();
  const Values first = run.state("student.partition");
  EXPECT_GT(first[0], 0);
  run.images = {2, 3, 6, 9};
  run.terms();
  EXPECT_EQ(run.state("student.partition"), first);
}

TEST(Crd, DrawsAnewEachEpochAndTheSameAgain) {
  CrdRun run(3), again(3);
  run.terms();
  again.terms();
  std::set<double> values;
  for (const int epoch : {1, 2, 3}) {
    run.distiller->begin_epoch(epoch);
    again.distiller->begin_epoch(epoch);
    const double value = run.terms(false)[0];
    EXPECT_EQ(value, again.terms(false)[0]);
    values.insert(value);
  }
  EXPECT_EQ(values.size(), 3u);
}

TEST(Crd, AllOthersAreDrawnWhereThereAreJustAsMany) {
  // 6 images of other classes: 6 draws without replacement are all of them, whatever the epoch.
  CrdRun run(6);
  run.terms();
  const double first = run.terms(false)[0];
  run.distiller->begin_epoch(7);
  EXPECT_NEAR(run.terms(false)[0], first, 1e-12);
  // 20 of 6 are drawn with replacement.
  CrdRun more(20);
  for (const double value : more.terms()) EXPECT_TRUE(std::isfinite(value));
}

TEST(Crd, NeedsTwoClasses) {
  CrdRun run(2);
  run.context.labels.assign(12, 1);
  expect_contains(
      error_of(Fault::usage, [&] { make_distiller(method_settings("crd"), *run.device, run.context); }),
      "all training images are of class 1");
}

class FeatureRefusals : public ::testing::Test {
 protected:
  FeatureShapes shapes(const std::string& model) {
    const auto net = make_model(model, *device_, {.classes = 10});
    return feature_shapes(*net, *device_);
  }
  std::string refused(const std::string& method, const std::string& student, const std::string& teacher,
                      const std::string& stage = "") {
    MethodContext context;
    context.student = shapes(student);
    context.teacher = shapes(teacher);
    MethodSettings settings = method_settings(method);
    if (!stage.empty()) settings.set("stage", stage);
    return error_of(Fault::usage, [&] { make_distiller(settings, *device_, context); });
  }
  std::unique_ptr<Device> device_ = Device::open({.name = "portable", .threads = 2});
};

TEST_F(FeatureRefusals, NameWhatDoesNotFit) {
  expect_contains(refused("reviewkd", "MobileNetV2", "wrn_16_2"), "the student has 4 stages, the teacher 3");
  expect_contains(refused("reviewkd", "ShuffleV1", "MobileNetV2"), "end without a ReLU");
  MethodContext pyramids;
  pyramids.student.stages = {{1, 8, 8, 4}, {1, 4, 4, 4}};
  pyramids.teacher.stages = {{1, 8, 8, 4}};
  const auto review = [&] { make_distiller(method_settings("reviewkd"), *device_, pyramids); };
  expect_contains(error_of(Fault::usage, review), "pyramid has 2 levels, the teacher's 1");
  expect_contains(refused("ofd", "MobileNetV2", "resnet14"), "the student has no values before a last ReLU");
  expect_contains(refused("ofd", "vgg8", "resnet14"), "the student has 4 stages, the teacher 3");
  expect_contains(refused("vid", "vgg8", "resnet14"), "the student has 4 stages, the teacher 3");
  expect_contains(refused("kdsvd", "wrn_16_1", "vgg8"),
                  "stage 1 of the student is 32 places wide, the teacher's 16");
  expect_contains(refused("fitnet", "resnet8", "resnet14", "4"), "stage is 4, the teacher has 3");
  MethodContext context;
  context.student.stages = {{1, 32, 32, 3}, {1, 16, 16, 3}, {1, 4, 4, 3}};
  context.teacher.stages = {{1, 32, 32, 3}, {1, 32, 32, 3}, {1, 16, 16, 3}};
  expect_contains(
      error_of(Fault::usage, [&] { make_distiller(method_settings("fitnet"), *device_, context); }),
      "the student's map is 4 wide, the teacher's 16");
}

// As on ImageNet: what is reviewed of the student is before the ReLU too, through narrower maps.
TEST(ReviewKd, ReadsTheStudentBeforeItsReluIfAsked) {
  const auto device = Device::open({.name = "portable", .threads = 2});
  const auto student = make_model("resnet8", *device, {.classes = 7}),
             teacher = make_model("resnet14", *device, {.classes = 7});
  initialize(*student, *device, 1);
  initialize(*teacher, *device, 2);
  const Array images = device->persistent({2, 32, 32, 3}, DType::f32);
  Values pixels;
  for (int64_t i = 0; i < images.tensor.size(); ++i) pixels.push_back(std::sin(0.37 * double(i)));
  write_values(*device, images, pixels);
  MethodContext context;
  context.student = feature_shapes(*student, *device);
  context.teacher = feature_shapes(*teacher, *device);
  const Pass pass{*device};
  const auto loss = [&](bool asked, bool replaced) {
    MethodSettings settings = method_settings("reviewkd");
    if (asked) settings.set("before_relu", "true");
    const auto distiller = make_distiller(settings, *device, context);
    initialize(*distiller, *device, 3);
    DistillInputs inputs;
    inputs.features.student = student->forward(Var(images), pass, true);
    inputs.features.teacher = teacher->forward(Var(images), pass, true);
    inputs.logits = {inputs.features.student.logits, inputs.features.teacher.logits};
    Outputs& own = inputs.features.student;
    for (size_t i = 0; replaced && i < own.pre_relu.size(); ++i) own.stages[i + 1] = own.pre_relu[i];
    return read_values(*device, total(distiller->distillation_terms(inputs, pass), pass))[0];
  };
  EXPECT_EQ(loss(true, false), loss(false, true));
  EXPECT_NE(loss(true, false), loss(false, false));
  MethodSettings narrow = method_settings("reviewkd");
  narrow.set("width", "8");
  EXPECT_LT(count_parameters(*make_distiller(narrow, *device, context)),
            count_parameters(*make_distiller(method_settings("reviewkd"), *device, context)));
}

TEST_F(FeatureRefusals, LossOfLogitsIsNone) {
  ProbeInput input{.samples = 1, .classes = 2, .student = {0, 1}, .teacher = {0, 1}, .labels = {0}};
  expect_contains(error_of(Fault::usage, [&] { probe_loss(method_settings("at"), *device_, input); }),
                  "method at compares features");
}

TEST_F(FeatureRefusals, AMissingFeatureIsNamed) {
  const auto distiller = make_distiller(method_settings("at"), *device_);
  const Pass pass{*device_};
  const Var logits = pass.make({1, 2}, DType::f32);
  expect_contains(error_of(Fault::internal,
                           [&] {
                             distiller->distillation_terms({{logits, logits}}, pass);
                           }),
                  "at reads the features of both networks");
}

}  // namespace
}  // namespace retort::testing
