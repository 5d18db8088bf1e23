/* One network on the clock, for compare_infer.py: infer_time NET THREADS BATCH SECONDS prints one JSON object: images per
 * second (median over calls), the library's memory, and the process's peak. */
#define _POSIX_C_SOURCE 200809L
#include <retort.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { most_calls = 100000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count != 5) return 2;
  char message[200] = "";
  const size_t batch = strtoul(arguments[3], NULL, 10);
  const double seconds = strtod(arguments[4], NULL);
  const retort_options options = {(uint32_t)strtoul(arguments[2], NULL, 10), (uint32_t)batch, message, sizeof message};
  retort_net *net;
  retort_info info;
  if (retort_load_file(arguments[1], &options, &net) != RETORT_OK) {
    fprintf(stderr, "%s: %s\n", arguments[1], message);
    return 1;
  }
  retort_get_info(net, &info);
  const size_t size = (size_t)info.height * info.width * info.channels;
  float *images = malloc(batch * size * sizeof *images), *logits = malloc(batch * info.classes * sizeof *logits);
  double *times = malloc(most_calls * sizeof *times);
  if (!images || !logits || !times) return 1;
  for (size_t i = 0; i < batch * size; ++i) images[i] = (float)(i % 255) / 127.0f - 1.0f;
  for (int warm = 0; warm < 5; ++warm) retort_predict(net, images, batch, logits);
  int calls = 0;
  for (const double end = now() + seconds; calls < most_calls && now() < end; ++calls) {
    const double start = now();
    retort_predict(net, images, batch, logits);
    times[calls] = now() - start;
  }
  qsort(times, (size_t)calls, sizeof *times, by_size);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"images_per_s\": %.2f, \"memory_bytes\": %zu, \"peak_kib\": %ld, \"instruction_set\": \"%s\"}\n",
         (double)batch / times[calls / 2], retort_memory(net), usage.ru_maxrss, retort_instruction_set(net));
  return 0;
}
