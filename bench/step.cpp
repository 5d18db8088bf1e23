// Times one training or distillation step, or an evaluation pass, on a fixed random batch:
//   retort_bench_step --model resnet20 [--teacher resnet56 --method pcd] [--eval] --batch 64 --threads 2
//                     --device onednn --seconds 5 [--json]
// Prints the median, the quartiles, images/s and GFLOP/s (2 per multiply-add; a training step counts forward,
// input gradient and weight gradient of the student, forward of the teacher).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "distill/methods.h"
#include "engine/random.h"
#include "engine/step_graph.h"
#include "models/model.h"

namespace retort {
namespace {

struct Options {
  std::map<std::string, std::string> values = {{"model", "resnet20"}, {"teacher", ""},   {"method", "ce"},
                                               {"batch", "64"},       {"threads", "0"},  {"device", "auto"},
                                               {"seconds", "5"},      {"classes", "100"}};
  bool json = false, eval = false;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--json")
      options.json = true;
    else if (flag == "--eval")
      options.eval = true;
    else {
      check(flag.starts_with("--") && options.values.count(flag.substr(2)) && i + 1 < argc, Fault::usage,
            "retort_bench_step: unknown or incomplete option ", flag);
      options.values[flag.substr(2)] = argv[++i];
    }
  }
  return options;
}

class MacCounter : public LayerObserver {
 public:
  void on_call(const LayerCall& call) override { macs += call.macs; }
  int64_t macs = 0;
};

int64_t macs_of(Model& model, Device& device) {
  MacCounter counter;
  Pass pass{device};
  pass.observer = &counter;
  {
    const Var image = pass.make({1, model.side, model.side, 3}, DType::f32);
    device.backend().fill(image, 0.5);
    model(image, pass);
  }
  device.step_arena().rewind();
  return counter.macs;
}

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * double(sorted.size() - 1);
  const size_t below = size_t(at);
  const double rest = at - double(below);
  return below + 1 < sorted.size() ? sorted[below] * (1 - rest) + sorted[below + 1] * rest : sorted[below];
}

int run(const Options& options) {
  const auto& v = options.values;
  const int64_t batch = std::stoll(v.at("batch")), classes = std::stoll(v.at("classes"));
  const auto device = Device::open({.name = v.at("device"), .threads = std::stoi(v.at("threads"))});
  const auto student = make_model(v.at("model"), *device, {.classes = classes});
  initialize(*student, *device, 1);
  std::unique_ptr<Model> teacher;
  int64_t macs = macs_of(*student, *device) * (options.eval ? 1 : 3);
  if (!v.at("teacher").empty()) {
    teacher = make_model(v.at("teacher"), *device, {.classes = classes});
    initialize(*teacher, *device, 2);
    freeze(*teacher);
    macs += macs_of(*teacher, *device);
    fold_batch_norms(*teacher, *device);
  }
  MethodSettings settings(v.at("method"));
  const auto distiller = make_distiller(settings, *device);
  distiller->begin_epoch(1000);  // past any warm-up
  Sgd optimizer(*device, parameters_of(*student), {});
  if (options.eval) fold_batch_norms(*student, *device);

  const Array images = device->persistent({batch, student->side, student->side, 3}, DType::f32);
  const Array labels = device->persistent({batch}, DType::i32);
  std::vector<double> pixels;
  for (int64_t i = 0; i < images.tensor.size(); ++i) {
    pixels.push_back(2 * double(random_unit(random4(3, Purpose::weights, 0, uint32_t(i), 0).v[0])) - 1);
  }
  write_values(*device, images, pixels);
  std::vector<int32_t> classes_of(static_cast<size_t>(batch));
  for (int64_t i = 0; i < batch; ++i) classes_of[size_t(i)] = int32_t(i * 7 % classes);
  device->backend().upload(labels, classes_of.data());

  StepGraph graph(*device);
  const auto step = [&] {
    graph.run(batch, [&] {
      if (options.eval) {
        (*student)(Var(images), Pass{*device});
        return;
      }
      Tape tape(*device);
      const Pass pass{*device, &tape, true};
      const Var taught = teacher ? (*teacher)(Var(images), Pass{*device}) : Var();
      const Var logits = (*student)(Var(images), pass);
      tape.backward(total(distiller->terms({{logits, taught}, labels}, pass), pass));
      optimizer.step();
    });
    device->backend().synchronise();
  };

  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) step();
  std::vector<double> times;
  const double limit = std::stod(v.at("seconds"));
  const auto start = Clock::now();
  while (times.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < limit) {
    const auto before = Clock::now();
    step();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  std::sort(times.begin(), times.end());
  const double median = quantile(times, 0.5), gflop = 2e-9 * double(macs) * double(batch);
  const char* form =
      options.json ? "{\"median_ms\": %.4f, \"q1_ms\": %.4f, \"q3_ms\": %.4f, \"min_ms\": %.4f, \"n\": %zu, "
                     "\"images_per_second\": %.1f, \"gflops\": %.2f, \"peak_bytes\": %zu}\n"
                   : "median %.3f ms (quartiles %.3f to %.3f, fastest %.3f, n = %zu), %.0f images/s, %.1f "
                     "GFLOP/s, %zu bytes of step memory\n";
  std::printf(form, median, quantile(times, 0.25), quantile(times, 0.75), times.front(), times.size(),
              1000 * double(batch) / median, gflop / (median / 1000), device->step_arena().peak());
  if (!options.json) std::fprintf(stderr, "%s\n", device->backend().description().c_str());
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  try {
    return retort::run(retort::parse(argc, argv));
  } catch (const retort::Error& e) {
    std::fprintf(stderr, "retort_bench_step: %s\n", e.what());
    return int(e.fault());
  }
}
