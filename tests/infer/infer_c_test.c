/* The C API of the embeddable library, on networks that have a node of every kind: infer_c_test FOLDER. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <retort.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { images = 3, image_floats = 8 * 8 * 3, classes = 5 };
static int failures = 0;

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                     \
    }                                                                 \
  } while (0)

static unsigned char *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  unsigned char *data = malloc(1 << 20);
  *bytes = file && data ? fread(data, 1, 1 << 20, file) : 0;
  if (file) fclose(file);
  return data;
}

/* The same bits with any number of threads, any batch, and in memory of one's own. */
static void test_network(const char *folder, const char *type, unsigned bits) {
  char path[1000];
  size_t bytes;
  static float image[images * image_floats], first[images * classes], logits[images * classes];
  for (int i = 0; i < images * image_floats; ++i) image[i] = (float)sin(0.37 * i);
  snprintf(path, sizeof path, "%s/%s.retort", folder, type);
  unsigned char *file = read_file(path, &bytes);
  EXPECT(bytes > 0);
  if (bytes == 0) return;

  retort_info info;
  EXPECT(retort_inspect(file, bytes, &info) == RETORT_OK);
  EXPECT(info.weight_bits == bits && info.classes == classes && strcmp(info.model, "all_kinds") == 0);
  for (uint32_t threads = 1; threads <= 3; ++threads) {
    for (uint32_t batch = 1; batch <= 4; ++batch) {
      const retort_options options = {threads, batch, NULL, 0};
      retort_net *net;
      EXPECT(retort_load(file, bytes, &options, &net) == RETORT_OK);
      memset(logits, 0xff, sizeof logits);
      EXPECT(retort_predict(net, image, images, logits) == RETORT_OK);
      if (threads == 1 && batch == 1) memcpy(first, logits, sizeof logits);
      EXPECT(memcmp(logits, first, sizeof logits) == 0);
      retort_free(net);
    }
  }
  /* A child by fork() has none of its parent's threads. */
  const retort_options two = {2, 0, NULL, 0};
  retort_net* parents;
  EXPECT(retort_load(file, bytes, &two, &parents) == RETORT_OK);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    const bool same = retort_predict(parents, image, images, logits) == RETORT_OK &&
                      memcmp(logits, first, sizeof logits) == 0;
    retort_free(parents);
    _exit(same ? 0 : 1);
  }
  int status = -1;
  EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  EXPECT(retort_predict(parents, image, images, logits) == RETORT_OK);
  retort_free(parents);

  static _Alignas(64) unsigned char arena[1 << 19];
  size_t arena_bytes = 0;
  retort_net *net;
  EXPECT(retort_arena_size(file, bytes, NULL, &arena_bytes) == RETORT_OK && arena_bytes <= sizeof arena);
  EXPECT(retort_load_into(file, bytes, NULL, arena, arena_bytes, &net) == RETORT_OK);
  uint32_t found[images];
  EXPECT(retort_classify(net, image, images, logits, found) == RETORT_OK);
  EXPECT(memcmp(logits, first, sizeof logits) == 0 && found[0] < classes);
  retort_free(net);

  /* Every byte and every length counts. */
  for (size_t at = 0; at < bytes; at += 1 + at / 64) {
    file[at] ^= 0x40;
    const retort_status found_bad = retort_load(file, bytes, NULL, &net);
    EXPECT((found_bad == RETORT_BAD_FILE || found_bad == RETORT_NEWER_FILE) && net == NULL);
    file[at] ^= 0x40;
    EXPECT(retort_load(file, at, NULL, &net) == RETORT_BAD_FILE);
  }
  free(file);
}

static void test_arguments(void) {
  retort_net *net = (retort_net *)&failures;
  retort_info info;
  size_t bytes;
  float zero = 0;
  EXPECT(retort_load(NULL, 0, NULL, &net) == RETORT_BAD_ARGUMENT && net == NULL);
  EXPECT(retort_load_file(NULL, NULL, &net) == RETORT_BAD_ARGUMENT);
  EXPECT(retort_load_file("/nowhere", NULL, &net) == RETORT_NO_FILE);
  EXPECT(retort_inspect("", 0, &info) == RETORT_BAD_FILE && retort_inspect("", 0, NULL) == RETORT_BAD_ARGUMENT);
  EXPECT(retort_arena_size("", 0, NULL, &bytes) == RETORT_BAD_FILE);
  EXPECT(retort_predict(NULL, &zero, 1, &zero) == RETORT_BAD_ARGUMENT);
  EXPECT(retort_get_info(NULL, &info) == RETORT_BAD_ARGUMENT);
  EXPECT(retort_memory(NULL) == 0 && retort_threads(NULL) == 0);
  EXPECT(retort_last_error(NULL)[0] == 0 && retort_instruction_set(NULL)[0] == 0);
  retort_free(NULL);
  for (int status = -1; status < 9; ++status) EXPECT(retort_status_text((retort_status)status)[0] != 0);
  EXPECT(retort_version_number() ==
         RETORT_VERSION_MAJOR * 10000 + RETORT_VERSION_MINOR * 100 + RETORT_VERSION_PATCH);
  EXPECT(RETORT_API_VERSION == 1);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  test_arguments();
  test_network(arguments[1], "f32", 32);
  test_network(arguments[1], "f16", 16);
  test_network(arguments[1], "int8", 8);
  return failures ? 1 : 0;
}
