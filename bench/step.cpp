// retort_bench_step times one training or distillation step, an evaluation pass, or a loss on a fixed random
// batch, or the loader; --help shows how.
// Prints the median, the quartiles (of steps that are waited for; chained_ms: 20 steps between waits),
// images/s and GFLOP/s. --floor measures what the machine can do at most (a second) and prints FLOPs, bytes
// and the share of the larger floor that the step reaches. --asked: steps whenever a line on stdin asks for
// them.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/bench_main.h"
#include "bench/step_runner.h"
#include "datasets/loader.h"
#include "engine/base/text.h"

namespace retort {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * double(sorted.size() - 1);
  const size_t below = size_t(at);
  const double rest = at - double(below);
  return below + 1 < sorted.size() ? sorted[below] * (1 - rest) + sorted[below + 1] * rest : sorted[below];
}

// Milliseconds of f's calls, sorted.
std::vector<double> times_of(double seconds, const std::function<void()>& f) {
  for (int i = 0; i < 3; ++i) f();
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 5 || seconds_since(start) < seconds) {
    const auto before = Clock::now();
    f();
    times.push_back(1e3 * seconds_since(before));
  }
  std::sort(times.begin(), times.end());
  return times;
}

// Batches of 50,000 images, cropped, flipped and normalised; nobody uses them.
std::vector<double> loader_times(double seconds, int64_t batch, int workers) {
  ImageSet set;
  set.height = set.width = 32;
  set.classes = 100;
  set.labels.resize(50'000);
  set.images.resize(size_t(set.size() * set.image_bytes()));
  for (size_t i = 0; i < set.images.size(); ++i) set.images[i] = uint8_t(i * 2654435761u >> 24);
  Loader loader(set, {.batch = batch, .workers = workers});
  int epoch = 0;
  return times_of(seconds, [&] {
    const HostBatch* next = loader.next();
    if (next && next->size == batch) return;
    loader.begin_epoch(++epoch);
    loader.next();
  });
}

// Of each kind of kernel, by its name and shapes, how often it is called in a step and the milliseconds of
// all its calls, the least of some steps: with other work on the machine a mean is partly that work's.
Json kernels_of(StepRunner& runner) {
  struct Kind {
    int calls = 0;
    double ms = 0, least = 0;
  };
  std::map<std::string, Kind> kinds;
  constexpr int steps = 7;
  for (int step = 0; step < steps; ++step) {
    for (auto& [name, kind] : kinds) kind.calls = 0, kind.ms = 0;
    for (const ProfiledCall& call : runner.profiled_step().calls()) {
      Kind& kind = kinds[text(call.op, " ", call.in, " ", call.weight, " ", call.out)];
      ++kind.calls;
      kind.ms += 1e3 * call.seconds;
    }
    for (auto& [name, kind] : kinds) kind.least = step == 0 ? kind.ms : std::min(kind.least, kind.ms);
  }
  Json all = Json::object();
  for (const auto& [name, kind] : kinds) all[name] = {kind.calls, kind.least};
  return all;
}

// A line on stdin asks for steps of so many seconds, and is answered with their median and with what the
// process' threads ran for each; "kernels" asks for kernels_of(). For scripts that take turns with another
// program and let both live.
void answer(StepRunner& runner) {
  for (int i = 0; i < 3; ++i) runner.run();
  const auto say = [](const Json& line) {
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  };
  const auto cpu_seconds = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
  };
  say(Json::object({{"device", runner.device().backend().description()}}));
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "kernels") {
      say(kernels_of(runner));
      continue;
    }
    double seconds = 0;
    check(parse(line, seconds) && seconds >= 0, Fault::usage, "--asked: a line is '", line,
          "', expected seconds");
    std::vector<double> times;
    const double cpu = cpu_seconds();
    for (const auto start = Clock::now(); times.size() < 3 || seconds_since(start) < seconds;) {
      const auto before = Clock::now();
      runner.run();
      times.push_back(1e3 * seconds_since(before));
    }
    const double used = 1e3 * (cpu_seconds() - cpu) / double(times.size());
    std::sort(times.begin(), times.end());
    say(Json::object({{"median_ms", quantile(times, 0.5)}, {"cpu_ms", used}, {"n", times.size()}}));
  }
}

int run(const std::vector<std::string>& arguments) {
  StepOptions step;
  double seconds = 5;
  int workers = 2;
  bool json = false, data = false, floor = false, asked = false;
  Options options("step", "the time of one step on a random batch, or of the loader",
                  {"retort_bench_step --model resnet20 --teacher resnet56 --method pcd --threads 2 --floor",
                   "retort_bench_step --model resnet20 --eval --batch 64 --json",
                   "retort_bench_step --loss --method pcd --batch 64 --classes 100 --threads 1",
                   "retort_bench_step --data --workers 2 --batch 64"},
                  "retort_bench_step");
  options.text("--model", "NAME", "network that is trained or evaluated", step.model);
  options.text("--teacher", "NAME", "network of the teacher", step.teacher);
  options.text("--method", "NAME", "with its default settings", step.method);
  options.text("--device", "NAME", "auto, portable, onednn, cuda", step.device);
  options.text("--precision", "P", "fp32 to fp16", step.precision);
  options.integer("--threads", "CPU threads, 0: all", step.threads, 0);
  options.integer("--batch", "images per step", step.batch, 1);
  options.integer("--classes", "of images and logits", step.classes, 2);
  options.integer("--workers", "of --data", workers, 0);
  options.number("--seconds", "of measuring", seconds, 0);
  options.flag("--eval", "a forward pass", step.eval);
  options.flag("--loss", "a method's terms alone", step.loss);
  options.flag("--data", "the loader alone", data);
  options.flag("--table", "the teacher's logits from a table on disk", step.table);
  options.flag("--dot", "a momentum each for the labels' and the teacher's gradient", step.dot);
  options.flag("--asked", "steps as lines on stdin ask, each for so many seconds", asked);
  options.flag("--eager", "no captured steps", step.eager);
  options.flag("--whole", "--eval: never in slices of the batch", step.whole);
  options.flag("--floor", "what the machine can do at most, FLOPs, bytes and the share reached", floor);
  options.flag("--json", "result as JSON", json);
  if (!options.parse(arguments)) return 0;
  if (asked) {
    StepRunner runner(step);
    answer(runner);
    return 0;
  }
  const int64_t batch = step.batch;
  Json result = Json::object();
  std::vector<double> times;
  std::string description;
  if (data) {
    times = loader_times(seconds, batch, workers);
    description = text(workers, " workers");
  } else {
    StepRunner runner(step);
    times = times_of(seconds, [&] { runner.run(); });
    // Steps without a wait between them; of long ones a few say as much.
    const int chain = std::clamp(int(500 / quantile(times, 0.5)), 1, 20);
    const double chained = quantile(times_of(seconds, [&] { runner.run_chain(chain); }), 0.5) / chain;
    const Peak peak = floor ? measure_peak(step.threads) : Peak{};
    const StepWork work = runner.work(peak);
    const double median = quantile(times, 0.5);
    result["chained_ms"] = chained;
    if (step.table) result["table"] = runner.table_refused().empty() ? "used" : runner.table_refused();
    if (!runner.table_refused().empty()) std::fprintf(stderr, "table: %s\n", runner.table_refused().c_str());
    result["gflops"] = work.flops / (median * 1e6);
    result["peak_bytes"] = runner.device().step_arena().peak();
    result["flops"] = work.flops;
    result["bytes"] = work.bytes;
    result["kernels"] = work.kernels;
    if (floor) {
      result["peak_flops"] = peak.flops;
      result["peak_bandwidth"] = peak.bytes;
      result["floor_ms"] = 1e3 * peak.floor(work.flops, work.bytes);
      result["kernels_floor_ms"] = 1e3 * work.floor;  // of kernels one after the other
      result["share_of_floor"] = 1e3 * peak.floor(work.flops, work.bytes) / median;
    }
    description = runner.device().backend().description();
  }
  const double median = quantile(times, 0.5), mean = [&] {
    double sum = 0;
    for (const double t : times) sum += t;
    return sum / double(times.size());
  }();
  // The loader's batches come in bursts: their mean counts.
  const double per_batch = data ? mean : median;
  Json all = {{"median_ms", median},
              {"q1_ms", quantile(times, 0.25)},
              {"q3_ms", quantile(times, 0.75)},
              {"min_ms", times.front()},
              {"mean_ms", mean},
              {"n", times.size()},
              {"images_per_second", 1000 * double(batch) / per_batch}};
  all.update(result);
  std::fprintf(stderr, "%s\n", description.c_str());
  if (json) {
    std::printf("%s\n", all.dump().c_str());
    return 0;
  }
  std::printf("median %.3f ms (quartiles %.3f to %.3f, fastest %.3f, n = %zu), %.0f images/s\n", median,
              quantile(times, 0.25), quantile(times, 0.75), times.front(), times.size(),
              1000 * double(batch) / per_batch);
  if (!result.empty()) {
    std::printf("%.3f GFLOP and %.1f MB a step in %zu kernels, %.1f GFLOP/s, %.1f MB of step memory\n",
                1e-9 * result["flops"].get<double>(), 1e-6 * result["bytes"].get<double>(),
                result["kernels"].get<size_t>(), result["gflops"].get<double>(),
                1e-6 * result["peak_bytes"].get<double>());
  }
  if (floor && !data) {
    std::printf("floor %.3f ms of %.1f GFLOP/s and %.1f GB/s: %.0f %% of it (kernel by kernel %.3f ms)\n",
                result["floor_ms"].get<double>(), 1e-9 * result["peak_flops"].get<double>(),
                1e-9 * result["peak_bandwidth"].get<double>(), 100 * result["share_of_floor"].get<double>(),
                result["kernels_floor_ms"].get<double>());
  }
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  return retort::bench_main("retort_bench_step", retort::run, argc, argv);
}
