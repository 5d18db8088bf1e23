// Batches of photos as training gets them, timed, for bench/rivals/compare_loader.py.
// One worker, f32 images of 224 x 224 after resized-crop and
// flip. Prints JSON: images, seconds, milliseconds of CPU time for an image, peak memory.
#include <sys/resource.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/bench_main.h"
#include "datasets/loader.h"
#include "datasets/open.h"

namespace retort {
namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

int run(const std::vector<std::string>& arguments) {
  std::vector<std::string> folders;
  std::string decoder = "stb";
  int64_t batch = 32;
  double seconds = 3;
  Options options("photos", "batches of photos as training gets them, timed",
                  {"retort_photo_loader imagenet/ --decoder turbo --batch 64"}, "retort_photo_loader");
  options.positional("FOLDER", "of any layout that folder: reads", folders);
  options.text("--decoder", "NAME", "stb or turbo", decoder);
  options.integer("--batch", "images", batch, 1);
  options.number("--seconds", "of measuring", seconds, 0);
  if (!options.parse(arguments)) return 0;
  check(folders.size() == 1, Fault::usage, folders.size(), " folders are named, expected one FOLDER");
  const DataSet data = open_dataset(
      "folder:" + folders[0],
      DataOptions{.random_crops = true, .decoder = decoder_named(decoder), .imagenet_numbers = true});
  LoaderOptions loading{.batch = batch};
  loading.augment = Augment::resized_crop;
  loading.workers = 0;  // the work itself, on this thread
  Loader loader(data.train, loading);
  int64_t images = 0;
  int epoch = 0;
  const auto timed = [&](double limit) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    images = 0;
    for (;;) {
      loader.begin_epoch(++epoch);
      while (const HostBatch* host = loader.next()) {
        images += host->size;
        const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (passed > limit) return std::pair(passed, cpu_seconds() - cpu);
      }
    }
  };
  timed(seconds / 5);
  const auto [wall, cpu] = timed(seconds);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const nlohmann::json result = {{"images", images},
                                 {"seconds", wall},
                                 {"cpu_ms", 1000 * cpu / double(images)},
                                 {"peak_kib", usage.ru_maxrss}};
  std::cout << result.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  return retort::bench_main("retort_photo_loader", retort::run, argc, argv);
}
