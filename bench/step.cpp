// Times one training or distillation step, or an evaluation pass, on a fixed random batch:
//   retort_bench_step --model resnet20 [--teacher resnet56 --method pcd] [--eval] --batch 64 --threads 2
//                     --device onednn --seconds 5 [--json]
// Prints the median, the quartiles, images/s and GFLOP/s.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/step_runner.h"

namespace retort {
namespace {

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * double(sorted.size() - 1);
  const size_t below = size_t(at);
  const double rest = at - double(below);
  return below + 1 < sorted.size() ? sorted[below] * (1 - rest) + sorted[below + 1] * rest : sorted[below];
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> v = {{"model", "resnet20"}, {"teacher", ""},   {"method", "ce"},
                                          {"batch", "64"},       {"threads", "0"},  {"device", "auto"},
                                          {"seconds", "5"},      {"classes", "100"}};
  bool json = false, eval = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--json") {
      json = true;
    } else if (flag == "--eval") {
      eval = true;
    } else {
      check(flag.starts_with("--") && v.count(flag.substr(2)) && i + 1 < argc, Fault::usage,
            "unknown or incomplete option ", flag);
      v[flag.substr(2)] = argv[++i];
    }
  }
  StepRunner runner({v["model"], v["teacher"], v["method"], v["device"], std::stoi(v["threads"]),
                     std::stoll(v["batch"]), std::stoll(v["classes"]), eval});
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) runner.run();
  std::vector<double> times;
  const double limit = std::stod(v["seconds"]);
  const auto start = Clock::now();
  while (times.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < limit) {
    const auto before = Clock::now();
    runner.run();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  std::sort(times.begin(), times.end());
  const double median = quantile(times, 0.5);
  const char* form =
      json ? "{\"median_ms\": %.4f, \"q1_ms\": %.4f, \"q3_ms\": %.4f, \"min_ms\": %.4f, \"n\": %zu, "
             "\"images_per_second\": %.1f, \"gflops\": %.2f, \"peak_bytes\": %zu}\n"
           : "median %.3f ms (quartiles %.3f to %.3f, fastest %.3f, n = %zu), %.0f images/s, %.1f "
             "GFLOP/s, %zu bytes of step memory\n";
  std::printf(form, median, quantile(times, 0.25), quantile(times, 0.75), times.front(), times.size(),
              1000 * std::stod(v["batch"]) / median, runner.flops() / (median * 1e6),
              runner.device().step_arena().peak());
  if (!json) std::fprintf(stderr, "%s\n", runner.device().backend().description().c_str());
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  try {
    return retort::run(argc, argv);
  } catch (const retort::Error& e) {
    std::fprintf(stderr, "retort_bench_step: %s\n", e.what());
    return int(e.fault());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "retort_bench_step: %s\n", e.what());
    return 2;
  }
}
