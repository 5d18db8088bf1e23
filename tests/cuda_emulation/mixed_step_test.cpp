// Whole steps in 16 bits on the emulated device: weights kept in 16 bits are what casts in every step gave,
// captured steps are given back, and two runs at once do not disturb each other.
#include <gtest/gtest.h>

#include "datasets/open.h"
#include "distill/methods/registry.h"
#include "distill/train/step.h"
#include "distill/train/weight_average.h"
#include "engine/optim/narrow_weights.h"
#include "layers/module.h"
#include "models/model.h"
#include "tests/cuda_emulation/stream.h"

namespace retort {
namespace {

struct Options {
  Precision precision = Precision::bf16;
  bool narrow = true;  // weights in 16 bits, images drawn in them
  bool capture = true;
  std::string method = "kd";
  uint64_t seed = 1;
};

// A run of resnet8 with a teacher, on a device of its own.
class TestRun {
 public:
  explicit TestRun(const Options& options)
      : device_(Device::open({.name = "cuda", .precision = options.precision, .capture = options.capture})),
        data_(open_dataset("synthetic:train=24,test=24")),
        student_(make_model("resnet8", *device_, {.classes = data_.train.classes})),
        teacher_(make_model("resnet14", *device_, {.classes = data_.train.classes})) {
    initialize(*student_, *device_, options.seed);
    initialize(*teacher_, *device_, 2);
    freeze(*teacher_);
    fold_batch_norms(*teacher_, *device_);
    distiller_ = make_distiller(method_settings(options.method), *device_);
    distiller_->begin_epoch(1);
    std::vector<NamedParameter> learned = parameters_of(*student_);
    if (options.narrow) learned = in_16_bits(std::move(learned), *device_, true);
    optimizer_ = std::make_unique<Sgd>(*device_, learned,
                                       SgdOptions{.loss_scaling = options.precision == Precision::fp16});
    const bool strong = views_read(distiller_->settings()) == 2;
    loader_ = std::make_unique<Loader>(
        data_.train,
        LoaderOptions{
            .batch = 6, .seed = options.seed, .workers = 0, .pixels = false, .strong = strong});
    DeviceBatchOptions drawing{.strong = strong};
    if (options.narrow) drawing.draw_for(options.precision);
    batches_ = std::make_unique<DeviceBatch>(*device_, data_.train, 6, drawing);
    step_ = std::make_unique<TrainingStep>(StepParts{.device = *device_,
                                                     .student = *student_,
                                                     .distiller = *distiller_,
                                                     .optimizer = *optimizer_,
                                                     .teacher = teacher_.get(),
                                                     .renderer = batches_.get()});
    loader_->begin_epoch(1);
  }

  void step() { step_->run(batches_->upload(*loader_->next())); }
  // All weights, and what the metrics came to.
  std::vector<double> result() {
    std::vector<double> all;
    for (const NamedParameter& p : parameters_of(*student_))
      for (const double value : read_values(*device_, p.parameter->value)) all.push_back(value);
    const MetricTotals::Values totals = step_->totals().read();
    all.insert(all.end(), {totals.loss, totals.top1, totals.top5});
    return all;
  }
  Device& device() { return *device_; }
  Model& student() { return *student_; }
  Model& teacher() { return *teacher_; }
  Sgd& optimizer() { return *optimizer_; }
  void drop_step() { step_.reset(); }

 private:
  std::unique_ptr<Device> device_;
  DataSet data_;
  std::unique_ptr<Model> student_, teacher_;
  std::unique_ptr<Distiller> distiller_;
  std::unique_ptr<Sgd> optimizer_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<DeviceBatch> batches_;
  std::unique_ptr<TrainingStep> step_;
};

std::vector<double> trained(const Options& options, int steps = 4) {
  TestRun run(options);
  for (int i = 0; i < steps; ++i) run.step();
  return run.result();
}

class MixedStep : public ::testing::Test {
 protected:
  void SetUp() override { setenv("RETORT_EMULATED_CUDNN", "h100", 1); }
  void TearDown() override { unsetenv("RETORT_EMULATED_CUDNN"); }
};

TEST_F(MixedStep, WeightsKeptIn16BitsAreWhatCastsGive) {
  for (const Precision precision : {Precision::bf16, Precision::fp16})
    EXPECT_EQ(trained({.precision = precision, .narrow = true}),
              trained({.precision = precision, .narrow = false}))
        << name_of(precision);
}

// A captured step has the teacher in a branch that runs beside the student; where streams are lazy, the order of the
// two is drawn anew in every step. What is not captured runs in order.
TEST_F(MixedStep, CapturedStepsAreEagerOnes) {
  for (const char* method : {"kd", "pcd"})
    EXPECT_EQ(trained({.method = method}), trained({.capture = false, .method = method})) << method;
  // Of two views.
  EXPECT_EQ(trained({.precision = Precision::tf32, .narrow = false, .method = "mlkd"}),
            trained({.precision = Precision::tf32, .narrow = false, .capture = false, .method = "mlkd"}));
}

TEST_F(MixedStep, TheTeacherRunsBesideTheStudent) {
  TestRun run({});
  for (int i = 0; i < 4; ++i) run.step();
  const std::vector<emulation::Node>& nodes = emulation::last_captured();
  std::vector<size_t> depth(nodes.size());
  size_t longest = 0, forks = 0;
  std::vector<int> followers(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const size_t before : nodes[i].after) {
      depth[i] = std::max(depth[i], depth[before] + 1);
      if (++followers[before] == 2) ++forks;
    }
    longest = std::max(longest, depth[i] + 1);
  }
  EXPECT_EQ(forks, 1u) << "expected one place where the step forks";
  // resnet14 with folded batch norms: 13 convolutions, an average, a linear layer, and what converts between them.
  EXPECT_LE(longest + 15, nodes.size());
}

// What is read from a checkpoint reaches the form that kernels read.
TEST_F(MixedStep, ValuesWrittenFromOutsideAreRounded) {
  TestRun run({});
  for (const NamedParameter& p : parameters_of(run.student())) {
    std::vector<double> values(size_t(p.parameter->value.tensor.size()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = 1 + double(i % 100) / 8 + 1.0 / 4096;
    write_values(run.device(), p.parameter->value, values);
  }
  run.optimizer().values_changed();
  int seen = 0;
  for (const NamedParameter& p : parameters_of(run.student())) {
    const Tensor& rounded = p.parameter->rounded.tensor;
    if (!p.parameter->rounded) continue;
    ++seen;
    const std::vector<double> found = read_values(run.device(), p.parameter->rounded);
    const int64_t own = p.parameter->value.tensor.shape.last(), wide = rounded.shape.last();
    for (int64_t i = 0; i < rounded.size(); ++i) {
      const int64_t at = i / wide * own + i % wide;
      ASSERT_EQ(found[size_t(i)], i % wide < own ? 1 + double(at % 100) / 8 : 0.0) << p.name << " at " << i;
    }
  }
  EXPECT_EQ(seen, 9);  // resnet8's convolutions
}

// What is folded is rounded with its batch norm; the weights alone have no other form, which nothing would
// read.
// Putting the weights back fails, too, then: it reads them. The first error is what is told.
TEST_F(MixedStep, AnErrorInACaptureIsNotHiddenByTheAverage) {
  const std::unique_ptr<Device> device = Device::open({.name = "cuda", .precision = Precision::bf16});
  const std::unique_ptr<Model> model = make_model("resnet8", *device, {.classes = 4});
  initialize(*model, *device, 1);
  Sgd optimizer(*device, in_16_bits(parameters_of(*model), *device, true), {});
  WeightAverage average(*device, optimizer, 0.9);
  try {
    const Averaged averaged(average);
    device->backend().begin_capture();
    fail(Fault::input, "the first");
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the first");
  }
}

TEST_F(MixedStep, FoldedWeightsAreNotRoundedTwice) {
  TestRun run({});
  int convolutions = 0;
  for (const NamedParameter& p : parameters_of(run.teacher())) {
    convolutions += p.parameter->value.tensor.shape.rank() == 4;
    EXPECT_FALSE(p.parameter->rounded) << p.name;
  }
  EXPECT_EQ(convolutions, 15);  // resnet14's, with its two shortcuts
}

TEST_F(MixedStep, CapturedStepsAreGivenBack) {
  const int before = emulation::captured_graphs();
  TestRun run({});
  for (int i = 0; i < 4; ++i) run.step();
  EXPECT_EQ(emulation::captured_graphs(), before + 1);
  run.drop_step();
  EXPECT_EQ(emulation::captured_graphs(), before);
}

// Steps of two runs in turns are those of each alone: nothing but the device is shared.
TEST_F(MixedStep, TwoRunsInTurnsAreEachAsAlone) {
  const Options a{}, b{.method = "pcd", .seed = 7};
  const std::vector<double> alone_a = trained(a), alone_b = trained(b);
  TestRun first(a), second(b);
  for (int i = 0; i < 4; ++i) {
    first.step();
    second.step();
  }
  EXPECT_EQ(first.result(), alone_a);
  EXPECT_EQ(second.result(), alone_b);
}

// Two strong views are the host's even where the device draws the first (they were sized by pixels that
// nobody made).
TEST_F(MixedStep, SecondViewsComeFromTheHost) {
  const DataSet data = open_dataset("synthetic:train=12,test=24");
  Loader loader(data.train, {.batch = 6, .workers = 0, .pixels = false, .strong = true});
  const auto device = Device::open({.name = "cuda"});
  DeviceBatch batches(*device, data.train, 6, {.strong = true});
  loader.begin_epoch(1);
  const Batch batch = batches.upload(*loader.next());
  batches.render(batch);
  EXPECT_EQ(batch.strong.shape, (Shape{6, 32, 32, 3}));
  double sum = 0;
  for (const double value : read_values(*device, batch.strong)) sum += value * value;
  EXPECT_GT(sum, 1.0);
}

}  // namespace
}  // namespace retort
