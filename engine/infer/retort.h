/* retort_infer: runs networks written by `retort export --to infer`. C11; depends on the C library and POSIX
 * threads.
 *
 *   retort_net* net = NULL;
 *   retort_options options = {0};
 *   if (retort_load_file("net.retort", &options, &net) == RETORT_OK) {
 *     retort_predict(net, images, 1, logits);
 *     retort_free(net);
 *   }
 *
 * Every function returns a status or cannot fail; nothing prints, aborts, throws or keeps global state, but
 * for a count of fork()s: a child predicts with the thread that it has, with the same bits.
 * Whatever the bytes of a file are, loading it ends with a status. All memory is one block, taken at load
 * (given by the caller with retort_load_into); its size is known before. retort_load_file takes another, as
 * large as the file, and gives it back. Predicting allocates nothing.
 *
 * A network belongs to one thread at a time (a call beside another ends with RETORT_BUSY); different networks
 * are independent. Images are float32, N,H,W,C,
 * normalised: (value / 255 - mean) / std per channel; retort_normalise does that. The same images give the
 * same bits for any number of threads and any batch; another instruction set may differ in the last ones.
 */
#ifndef RETORT_H
#define RETORT_H

#include <stddef.h>
#include <stdint.h>

#define RETORT_VERSION_MAJOR 0
#define RETORT_VERSION_MINOR 1
#define RETORT_VERSION_PATCH 0

/* Raised where a program that was written for the one before has to change: something went or means
 * something else. Nothing that is new raises it. */
#define RETORT_API_VERSION 1

#if defined(__GNUC__)
#define RETORT_API __attribute__((visibility("default")))
#else
#define RETORT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum retort_status {
  RETORT_OK = 0,
  RETORT_BAD_ARGUMENT = 1, /* a null pointer, a size or count out of range */
  RETORT_NO_FILE = 2,      /* the file cannot be opened or read */
  RETORT_BAD_FILE = 3,     /* not a network file, or a damaged one */
  RETORT_NEWER_FILE = 4,   /* a network file of a later format */
  RETORT_NO_MEMORY = 5,    /* no block of this size; retort_load_into: the block is too small */
  RETORT_NO_THREAD = 6,    /* the system gives no thread */
  RETORT_NOT_FINITE =
      7,          /* a logit is NaN or infinite: no answer; an image holds such a number, or too large ones */
  RETORT_BUSY = 8 /* another thread is predicting with this network; nothing was done */
} retort_status;

typedef struct retort_net retort_net;

/* All zero is a valid choice. */
typedef struct retort_options {
  uint32_t threads;     /* that predict together, the caller among them; 0: 1; at most 64 */
  uint32_t batch;       /* images that are worked on together, which costs memory; 0: 1; at most 1024 */
  char* message;        /* receives one line about why loading failed, or null */
  size_t message_bytes; /* its size with the final zero */
} retort_options;

typedef struct retort_info {
  char model[32];                   /* "resnet8x4" */
  uint32_t height, width, channels; /* of an image */
  uint32_t classes;
  uint64_t parameters;
  uint64_t macs;         /* multiply-adds of one image */
  float mean[3], std[3]; /* of the pixel values in [0, 1]; std is 0 where the file does not say */
  uint32_t weight_bits;  /* of the largest share of weights in the file: 32, 16 or 8; they are 32 in memory */
} retort_info;

/* "0.1.0", and MAJOR * 10000 + MINOR * 100 + PATCH. */
RETORT_API const char* retort_version(void);
RETORT_API uint32_t retort_version_number(void);
/* A few words for a status, never null. */
RETORT_API const char* retort_status_text(retort_status status);

/* What a file in memory holds, checked completely. */
RETORT_API retort_status retort_inspect(const void* file, size_t bytes, retort_info* info);
/* The bytes of the one block that loading would take with these options (which may be null) on this machine.
 */
RETORT_API retort_status retort_arena_size(const void* file, size_t bytes, const retort_options* options,
                                           size_t* arena_bytes);

/* Loads a network; options may be null. On failure *net is null. The file's bytes may go when this returns.
 */
RETORT_API retort_status retort_load(const void* file, size_t bytes, const retort_options* options,
                                     retort_net** net);
RETORT_API retort_status retort_load_file(const char* path, const retort_options* options, retort_net** net);
/* The same into the caller's block of at least retort_arena_size bytes, aligned to 64, which has to live
 * until retort_free (it is not freed there). Allocates nothing but threads. */
RETORT_API retort_status retort_load_into(const void* file, size_t bytes, const retort_options* options,
                                          void* arena, size_t arena_bytes, retort_net** net);
/* Null is fine. */
RETORT_API void retort_free(retort_net* net);

/* logits[i * classes + k] of `count` images; they are written, for a look, also where RETORT_NOT_FINITE is
 * returned. */
RETORT_API retort_status retort_predict(retort_net* net, const float* images, size_t count, float* logits);
/* The likeliest class of each image; at a tie the lower one. `logits` as above, it may not be null. */
RETORT_API retort_status retort_classify(retort_net* net, const float* images, size_t count, float* logits,
                                         uint32_t* classes);
/* Pixels of 8 bits, N,H,W,C, as images of this network; RETORT_BAD_FILE if the file had no mean and std. */
RETORT_API retort_status retort_normalise(const retort_net* net, const uint8_t* pixels, size_t count,
                                          float* images);
/* Probabilities of one row of logits; may be in place. */
RETORT_API void retort_softmax(const float* logits, size_t classes, float* probabilities);

RETORT_API retort_status retort_get_info(const retort_net* net, retort_info* info);
/* How pictures of another size become images: their shorter side is resized to so many pixels, then the
 * centre is cut out; 0 where the file does not say. */
RETORT_API uint32_t retort_test_resize(const retort_net* net);
/* The name of class `index`, UTF-8, as long as the network lives; null where the file has no names, and
 * beyond the last class. */
RETORT_API const char* retort_class_name(const retort_net* net, uint32_t index);
RETORT_API size_t retort_memory(const retort_net* net);    /* bytes of its block; 0 for null */
RETORT_API uint32_t retort_threads(const retort_net* net); /* 0 for null */
/* "baseline", "avx2", "avx512": what the kernels run with. */
RETORT_API const char* retort_instruction_set(const retort_net* net);
/* What the last call on this network that failed says, or "". Lives as long as the network, until the next
 * call. */
RETORT_API const char* retort_last_error(const retort_net* net);

#ifdef __cplusplus
}
#endif

#endif /* RETORT_H */
