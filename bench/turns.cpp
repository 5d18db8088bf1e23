// retort_bench_turns: variants of a step in turns, in one process: the same networks on several devices, or
// with several batches; --help shows how.
// Each variant runs for the same time in every round, forwards in one round and backwards in the next, so
// that a machine that slows down slows all. Prints medians over all steps and the ratio of images/s to the
// first variant's. --kernels: the first two variants kernel by kernel and shape by shape, where the second
// loses most first. --cpu-time: in the time that the program's threads ran, which on a machine with other
// work says more than the wall clock does. RETORT_ISA=avx2 lowers the instruction set of all.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/bench_main.h"
#include "bench/step_runner.h"
#include "distill/text/text_format.h"

namespace retort {
namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

std::vector<std::string> list_of(const std::string& commas) {
  std::vector<std::string> all;
  std::istringstream stream(commas);
  for (std::string one; std::getline(stream, one, ',');) all.push_back(one);
  return all;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n == 0 ? 0 : n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct Variant {
  std::string device;
  int64_t batch;
  std::unique_ptr<StepRunner> runner;
  std::vector<double> times;  // ms

  double images_per_second() const { return 1e3 * double(batch) / median(times); }
};

void measure(std::vector<Variant>& variants, double seconds, int rounds, clockid_t clock) {
  for (Variant& variant : variants)
    for (int i = 0; i < 3; ++i) variant.runner->run();
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < variants.size(); ++i) {
      Variant& variant = variants[round % 2 ? variants.size() - 1 - i : i];
      const double start = seconds_of(CLOCK_MONOTONIC);
      do {
        const double before = seconds_of(clock);
        variant.runner->run();
        variant.times.push_back(1e3 * (seconds_of(clock) - before));
      } while (seconds_of(CLOCK_MONOTONIC) - start < seconds / rounds);
    }
  }
}

std::string shape_of(const ProfiledCall& call) {
  return text(call.op, " ", extents(call.in), " * ", extents(call.weight), " -> ", extents(call.out));
}

// The least milliseconds over steps that a kind of kernel takes in one, by name(call): with other work on the
// machine a median is mostly that work's.
template <class Name>
std::map<std::string, double> kinds_of(StepRunner& runner, int steps, const Name& name) {
  std::map<std::string, double> least;
  for (int step = 0; step < steps; ++step) {
    std::map<std::string, double> sums;
    for (const ProfiledCall& call : runner.profiled_step().calls()) sums[name(call)] += 1e3 * call.seconds;
    for (const auto& [key, sum] : sums) {
      const auto known = least.emplace(key, sum).first;
      known->second = std::min(known->second, sum);
    }
  }
  return least;
}

template <class Name>
void compare_kernels(const char* head, Variant& a, Variant& b, size_t shown, const Name& name) {
  constexpr int steps = 15;
  const auto first = kinds_of(*a.runner, steps, name), second = kinds_of(*b.runner, steps, name);
  std::vector<std::string> names;
  for (const auto& [key, time] : second) names.push_back(key);
  const auto lost = [&](const std::string& key) {
    const auto other = first.find(key);
    return second.at(key) - (other == first.end() ? 0 : other->second);
  };
  std::sort(names.begin(), names.end(),
            [&](const std::string& x, const std::string& y) { return lost(x) > lost(y); });
  names.resize(std::min(names.size(), shown));
  std::printf("  %-72s %9s %9s  ratio\n", head, a.device.c_str(), b.device.c_str());
  for (const std::string& key : names) {
    const auto other = first.find(key);
    const double one = other == first.end() ? 0 : other->second;
    std::printf("  %-72s %9.3f %9.3f  %.2f\n", key.c_str(), one, second.at(key),
                one > 0 ? second.at(key) / one : 0);
  }
}

int run(const std::vector<std::string>& arguments) {
  StepOptions step;
  step.method.clear();
  step.threads = 1;
  std::string models = "resnet20", devices = "auto", batches = "64";
  double seconds = 3;
  int rounds = 5, shapes = 12;
  bool kernels = false, cpu_time = false;
  Options options("turns", "variants of a step in turns: networks, devices, batches",
                  {"retort_bench_turns --models resnet20,MobileNetV2 --devices onednn,portable",
                   "retort_bench_turns --models resnet20 --teacher resnet56 --method pcd --cpu-time",
                   "retort_bench_turns --models resnet20 --batches 64,4,8,16,32,128 --eval --whole"},
                  "retort_bench_turns");
  options.text("--models", "NAME,...", "each by itself", models);
  options.text("--devices", "NAME,...", "variants", devices);
  options.text("--batches", "N,...", "variants", batches);
  options.text("--teacher", "NAME", "network of the teacher: the step is one of distillation", step.teacher);
  options.text("--method", "NAME", "with its default settings (ce; pcd with a teacher)", step.method);
  options.integer("--threads", "CPU threads, 0: all", step.threads, 0);
  options.number("--seconds", "of each variant", seconds, 0);
  options.integer("--rounds", "that they are cut into", rounds, 1);
  options.integer("--shapes", "of --kernels: shapes shown", shapes, 0);
  options.flag("--eval", "a forward pass", step.eval);
  options.flag("--whole", "--eval: never in slices of the batch", step.whole);
  options.flag("--kernels", "the first two variants kernel by kernel", kernels);
  options.flag("--cpu-time", "the time that the program's threads ran", cpu_time);
  if (!options.parse(arguments)) return 0;
  if (step.method.empty()) step.method = step.teacher.empty() ? "ce" : "pcd";
  check(step.teacher.empty() == !method_settings(step.method).method().reads.teacher, Fault::usage,
        "--method ", step.method, step.teacher.empty() ? " needs a --teacher" : " reads no --teacher");
  check(!(step.eval && !step.teacher.empty()), Fault::usage, "--eval has no --teacher");
  for (const std::string& model : list_of(models)) {
    std::vector<Variant> variants;
    for (const std::string& device : list_of(devices)) {
      for (const std::string& batch : list_of(batches)) {
        step.model = model;
        step.device = device;
        step.batch = integer_of("--batches", batch, 1);
        variants.push_back({device, step.batch, std::make_unique<StepRunner>(step), {}});
      }
    }
    measure(variants, seconds, rounds, cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC);
    const std::string what = step.eval              ? ", evaluation"
                             : step.teacher.empty() ? ", training step"
                                                    : " < " + step.teacher + ", " + step.method;
    std::printf("%s%s\n", model.c_str(), what.c_str());
    for (const Variant& variant : variants) {
      std::printf("  %-40s batch %4lld  %9.3f ms  %9.1f images/s  %.2f  (n = %zu)\n",
                  variant.runner->device().backend().description().c_str(),
                  static_cast<long long>(variant.batch), median(variant.times), variant.images_per_second(),
                  variant.images_per_second() / variants[0].images_per_second(), variant.times.size());
    }
    if (kernels && variants.size() > 1) {
      compare_kernels("ms a step by kernel", variants[0], variants[1], 100,
                      [](const ProfiledCall& call) { return std::string(call.op); });
      compare_kernels("by shape", variants[0], variants[1], size_t(shapes), shape_of);
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  return retort::bench_main("retort_bench_turns", retort::run, argc, argv);
}
