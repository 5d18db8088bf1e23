/* The losses of all methods that compare logits, of one view or two, for other languages. C11; the rules of
 * retort.h hold here too: every function returns a status or cannot fail; nothing prints, aborts, throws or
 * keeps state of its own; all memory is the caller's, and calls may be made from several threads at once. */
#ifndef RETORT_LOSS_H
#define RETORT_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include <retort.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0, or the exit code that the program `retort` would end with: 2 a method, key or value that is not known or
 * allowed, 3 logits or labels that do not fit, 5 a loss that is not finite, 6 no memory, 1 an error of ours.
 */
typedef int retort_code;

typedef struct retort_loss_input {
  const char* method; /* "pcd" */
  const char* const*
      settings; /* key, value, key, value, ...: 2 * setting_count texts, as `retort loss --set` takes them */
  size_t setting_count;
  size_t samples, classes;
  const double* student; /* samples x classes, row by row; finite */
  const double* teacher; /* the same, or null for a method that reads no teacher */
  const int64_t* labels; /* samples, each in [0, classes); or null for a method that reads none */
  const double* strong_student; /* of a second view, samples x classes; or null, both, without one */
  const double* strong_teacher;
  const double*
      similarity; /* classes x classes, how alike a teacher sees them; or null for a method that reads none */
  int single_precision; /* 1: compute in f32, as training does; 0: in f64 */
} retort_loss_input;

typedef struct retort_loss_term {
  char name[64];
  double value;
} retort_loss_term;

typedef struct retort_loss_output {
  double value;            /* the sum of the terms; cross-entropy and warm-up are left out */
  double* gradient;        /* receives d value / d student, samples x classes; or null */
  retort_loss_term* terms; /* receives the terms */
  size_t term_capacity;    /* how many there is room for; 16 are enough for every method */
  size_t term_count;       /* how many there are */
  char* message;           /* receives one line about what is wrong, or null */
  size_t message_bytes;    /* its size with the final zero */
} retort_loss_output;

RETORT_API retort_code retort_loss(const retort_loss_input* input, retort_loss_output* output);

/* The methods as JSON: [{name, title, paper, reads: {teacher, labels, features, two_views,
 * class_similarity}, keys: [{name, type, default,
 * expected, help, choices}]}]. Writes at most `bytes` of it, the final zero included, and returns how many it
 * takes; 0: no memory. */
RETORT_API size_t retort_methods_json(char* json, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RETORT_LOSS_H */
