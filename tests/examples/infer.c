/* Runs a network that `retort export --to infer` wrote, from C:
 *
 *   infer net.retort [logits.txt]
 *
 * prints the class that it gives an image of waves; with a second file, checks the logits against the numbers in it. */
#include <math.h>
#include <retort.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  return 1;
}

int main(int count, char **arguments) {
  char message[200];
  retort_options options = {0};
  retort_net *net;
  retort_info info;
  if (count < 2) return fail(arguments[0], "name a network file");
  options.message = message;
  options.message_bytes = sizeof message;
  options.threads = 2;
  if (retort_load_file(arguments[1], &options, &net) != RETORT_OK) return fail(arguments[1], message);
  retort_get_info(net, &info);
  const size_t size = (size_t)info.height * info.width * info.channels;
  float *image = malloc(size * sizeof *image), *logits = malloc(info.classes * sizeof *logits);
  if (!image || !logits) return fail(arguments[0], "out of memory");
  for (size_t i = 0; i < size; ++i) image[i] = (float)sin(0.37 * (double)i);
  uint32_t class;
  if (retort_classify(net, image, 1, logits, &class) != RETORT_OK) return fail("classify", retort_last_error(net));
  printf("%s: class %u of %u; %zu bytes of memory, %s\n", info.model, (unsigned)class, (unsigned)info.classes,
         retort_memory(net), retort_instruction_set(net));
  if (count > 2) {
    FILE *expected = fopen(arguments[2], "r");
    if (!expected) return fail(arguments[2], "cannot be opened");
    for (uint32_t k = 0; k < info.classes; ++k) {
      double value;
      if (fscanf(expected, "%lf", &value) != 1) return fail(arguments[2], "too few numbers");
      if (!(fabs(value - (double)logits[k]) <= 1e-5 * (1 + fabs(value)))) {
        fprintf(stderr, "class %u: %.7g, expected %.7g\n", (unsigned)k, (double)logits[k], value);
        return 1;
      }
    }
    fclose(expected);
  }
  free(image);
  free(logits);
  retort_free(net);
  return 0;
}
