// Batches of photos as training gets them, timed, for bench/rivals/compare_loader.py:
//
//   retort_photo_loader FOLDER [--decoder stb|turbo] [--batch N] [--seconds S]
//
// FOLDER is of any layout that folder: reads. One worker, f32 images of 224 x 224 after resized-crop and
// flip. Prints JSON: images, seconds, milliseconds of CPU time for an image, peak memory.
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "datasets/loader.h"
#include "datasets/open.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

int measure(int count, char** words) {
  using namespace retort;
  check(count >= 2, Fault::usage,
        "usage: retort_photo_loader FOLDER [--decoder D] [--batch N] [--seconds S]");
  std::string decoder = "stb";
  int64_t batch = 32;
  double seconds = 3;
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string option = words[i], value = words[i + 1];
    const bool good = option == "--decoder"   ? (decoder = value, true)
                      : option == "--batch"   ? parse(value, batch)
                      : option == "--seconds" ? parse(value, seconds)
                                              : false;
    check(good, Fault::usage, option, " ", value, ": is not understood");
  }
  const DataSet data = open_dataset(
      std::string("folder:") + words[1],
      DataOptions{.random_crops = true, .decoder = decoder_named(decoder), .imagenet_numbers = true});
  LoaderOptions options{.batch = batch};
  options.augment = Augment::resized_crop;
  options.workers = 0;  // the work itself, on this thread
  Loader loader(data.train, options);
  int64_t images = 0;
  int epoch = 0;
  const auto run = [&](double limit) {
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
  run(seconds / 5);
  const auto [wall, cpu] = run(seconds);
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

int main(int count, char** words) {
  try {
    return measure(count, words);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
