// A training step of a detector on a fixed batch, timed, for bench/rivals/compare_detection.py.
//
// Weights are those of a start and stay so (a learning rate of 0), so that every step has the same
// proposals. Prints JSON: the median step in milliseconds, peak
// memory, CPU time of a step; --boxes writes the true boxes and the proposals of each image, for another
// program to use.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/bench_main.h"
#include "distill/detection/detection_step.h"
#include "distill/detection/losses.h"
#include "distill/methods/registry.h"
#include "engine/base/atomic_file.h"

namespace retort {
namespace {

using Json = nlohmann::json;

double cpu_seconds(const rusage& usage) {
  const auto of = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

rusage used() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

// Pictures of one size with eight objects each, their sides from an eighth to a half of the picture's.
HostDetections made_batch(int64_t images, int side, int64_t classes) {
  HostDetections batch;
  batch.height = batch.width = side;
  batch.images.resize(size_t(images * side * side * 3));
  for (size_t i = 0; i < batch.images.size(); ++i)
    batch.images[i] = float(uint32_t(i * 2654435761u) >> 8) / float(1 << 23) - 1;
  for (int32_t n = 0; n < images; ++n) {
    DetectionSample sample{n, side, side, side, side, {}};
    for (int k = 0; k < 8; ++k) {
      const double wide = side * (1 + k % 4) / 8.0, high = side * (1 + (k + n) % 4) / 8.0;
      const double x = (side - wide) * ((k * 37 + n * 11) % 100) / 100.0,
                   y = (side - high) * ((k * 53 + n * 29) % 100) / 100.0;
      sample.objects.push_back({{x, y, wide, high}, int32_t((k * 7 + n) % classes)});
    }
    batch.samples.push_back(std::move(sample));
  }
  return batch;
}

Json corners(const std::vector<BoundingBox>& boxes) {
  Json all = Json::array();
  for (const BoundingBox& b : boxes) all.push_back({b.x1, b.y1, b.x2, b.y2});
  return all;
}

void write_boxes(const std::string& file, Detector& detector, Device& device, const HostDetections& batch) {
  const Pass pass{device, nullptr, true};
  const Var images =
      upload_numbers(pass, {batch.size(), batch.height, batch.width, 3}, DType::f32, batch.images);
  const Proposed proposed = detector.propose(detector.pyramid(images, pass), pass);
  const auto proposals =
      proposals_of(detector.spec(), proposed, make_anchors(detector.spec(), batch.height, batch.width), batch,
                   true, device);
  Json all = Json::array();
  for (size_t n = 0; n < batch.samples.size(); ++n) {
    const TrueBoxes truth = true_boxes(batch.samples[n]);
    all.push_back(
        {{"boxes", corners(truth.boxes)}, {"classes", truth.classes}, {"proposals", corners(proposals[n])}});
  }
  write_file(file, all.dump());
}

int run(const std::vector<std::string>& arguments) {
  std::string model = "rcnn_r18", device_name = "onednn", boxes;
  int64_t side = 320, images = 2, classes = 80, threads = 2;
  double seconds = 5;
  Options options("detector", "a training step of a detector on a fixed batch, timed",
                  {"retort_bench_detection --model rcnn_r18 --side 320 --batch 2"}, "retort_bench_detection");
  options.text("--model", "NAME", "a detector of `retort info`", model);
  options.integer("--side", "of the square images", side, 32);
  options.integer("--batch", "images", images, 1);
  options.integer("--classes", "without the background", classes, 1);
  options.integer("--threads", "of the device", threads, 1);
  options.text("--device", "NAME", "onednn or portable", device_name);
  options.number("--seconds", "of measuring", seconds, 0);
  options.text("--boxes", "FILE", "true boxes and proposals of each image are written there", boxes);
  if (!options.parse(arguments)) return 0;
  const auto device = Device::open({.name = device_name, .threads = int(threads)});
  const auto detector = make_detector(model, *device, {.classes = classes});
  initialize(*detector, *device, 1);
  const auto distiller = make_distiller(method_settings("ce"), *device);
  std::vector<NamedParameter> learned = parameters_of(*detector);
  std::erase_if(learned, [](const NamedParameter& p) { return !p.parameter->grad; });  // frozen
  Sgd optimizer(*device, learned, SgdOptions{.learning_rate = 0, .momentum = 0.9, .weight_decay = 1e-4});
  const HostDetections batch = made_batch(images, int(side), classes);
  if (!boxes.empty()) write_boxes(boxes, *detector, *device, batch);
  DetectionStep step(
      {.device = *device, .student = *detector, .distiller = *distiller, .optimizer = optimizer});
  const auto once = [&] {
    step.run(batch, 1);
    device->backend().synchronise();
  };
  for (int i = 0; i < 2; ++i) once();
  std::vector<double> times;
  const double cpu = cpu_seconds(used());
  const auto start = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point t) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
  };
  while (times.size() < 3 || since(start) < seconds) {
    const auto before = std::chrono::steady_clock::now();
    once();
    times.push_back(1e3 * since(before));
  }
  const rusage end = used();
  std::sort(times.begin(), times.end());
  std::printf("%s\n", Json{{"median_ms", times[times.size() / 2]},
                           {"min_ms", times.front()},
                           {"n", times.size()},
                           {"cpu_ms", 1e3 * (cpu_seconds(end) - cpu) / double(times.size())},
                           {"peak_kib", end.ru_maxrss}}
                          .dump()
                          .c_str());
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  return retort::bench_main("retort_bench_detection", retort::run, argc, argv);
}
