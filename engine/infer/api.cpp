#include "engine/infer/retort.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/infer/network.h"

struct retort_net {
  retort::infer::Network network;
};

namespace {

using namespace retort::infer;

constexpr size_t alignment = 64;
constexpr uint32_t most_batch = 1024;

Message message_of(const retort_options* options) {
  Message message = {options ? options->message : nullptr, options ? options->message_bytes : 0};
  message.set("%s", "");
  return message;
}

retort_status open_file(const void* file, size_t bytes, const Message& message, File* opened) {
  if (!file) return RETORT_BAD_ARGUMENT;
  switch (opened->open(file, bytes, message)) {
    case Check::good:
      return RETORT_OK;
    case Check::newer:
      return RETORT_NEWER_FILE;
    case Check::bad:
      break;
  }
  return RETORT_BAD_FILE;
}

retort_status plan_of(const retort_options* options, const Message& message, Plan* plan) {
  const uint32_t threads = options && options->threads ? options->threads : 1;
  const uint32_t batch = options && options->batch ? options->batch : 1;
  if (threads > uint32_t(most_threads) || batch > most_batch) {
    message.set("%u threads and a batch of %u, at most %d and %u are possible", unsigned(threads),
                unsigned(batch), most_threads, unsigned(most_batch));
    return RETORT_BAD_ARGUMENT;
  }
  *plan = {int(threads), int64_t(batch), retort::best_isa()};
  return RETORT_OK;
}

retort_status size_of(const File& file, const Plan& plan, const Message& message, size_t* bytes) {
  Layout counted(nullptr, 0);
  const retort_status status = build(file, plan, counted, nullptr, message);
  if (status != RETORT_OK) return status;
  if (counted.used() > SIZE_MAX / 2) {
    message.set("more memory is needed than there are addresses");
    return RETORT_NO_MEMORY;
  }
  *bytes = (size_t(counted.used()) + alignment - 1) / alignment * alignment;
  return RETORT_OK;
}

// Into `arena`, or a block of its own if that is null.
retort_status load(const void* data, size_t data_bytes, const retort_options* options, void* arena,
                   size_t arena_bytes, retort_net** net) {
  if (!net) return RETORT_BAD_ARGUMENT;
  *net = nullptr;
  const Message message = message_of(options);
  Plan plan;
  File file;
  size_t bytes = 0;
  retort_status status = plan_of(options, message, &plan);
  if (status == RETORT_OK) status = open_file(data, data_bytes, message, &file);
  if (status == RETORT_OK) status = size_of(file, plan, message, &bytes);
  if (status != RETORT_OK) return status;
  void* const owned = arena ? nullptr : aligned_alloc(alignment, bytes);
  void* const block = arena ? arena : owned;
  if (!block || (arena && arena_bytes < bytes)) {
    message.set("%zu bytes are needed", bytes);
    return RETORT_NO_MEMORY;
  }
  Layout layout(block, arena ? arena_bytes : bytes);
  Network* network = nullptr;
  status = build(file, plan, layout, &network, message);
  if (status != RETORT_OK) {
    free(owned);
    return status;
  }
  network->owned = owned;
  *net = reinterpret_cast<retort_net*>(network);
  return RETORT_OK;
}

retort_status failed(Network& network, retort_status status, const char* why) {
  const Message message = {network.error, sizeof network.error};
  message.set("%s", why);
  return status;
}

// How many bytes the file had, of those that were asked for.
size_t read_all(int file, uint8_t* to, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = read(file, to + done, bytes - done);
    if (got > 0)
      done += size_t(got);
    else if (got == 0 || errno != EINTR)
      break;
  }
  return done;
}

// Held while a network predicts.
class Turn {
 public:
  explicit Turn(Network& network)
      : network_(network), taken_(!__atomic_exchange_n(&network.busy, true, __ATOMIC_ACQUIRE)) {}
  ~Turn() {
    if (taken_) __atomic_store_n(&network_.busy, false, __ATOMIC_RELEASE);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool taken() const { return taken_; }

 private:
  Network& network_;
  bool taken_;
};

}  // namespace

extern "C" {

#define RETORT_TEXT_OF(x) #x
#define RETORT_TEXT(x) RETORT_TEXT_OF(x)

const char* retort_version(void) {
  return RETORT_TEXT(RETORT_VERSION_MAJOR) "." RETORT_TEXT(RETORT_VERSION_MINOR) "." RETORT_TEXT(
      RETORT_VERSION_PATCH);
}

uint32_t retort_version_number(void) {
  return RETORT_VERSION_MAJOR * 10000 + RETORT_VERSION_MINOR * 100 + RETORT_VERSION_PATCH;
}

const char* retort_status_text(retort_status status) {
  int number;  // a caller in C may pass any, and C++ may not look at an enum that is none of its values
  static_assert(sizeof number == sizeof status);
  memcpy(&number, &status, sizeof number);
  switch (number) {
    case RETORT_OK:
      return "ok";
    case RETORT_BAD_ARGUMENT:
      return "an argument is not allowed";
    case RETORT_NO_FILE:
      return "the file cannot be read";
    case RETORT_BAD_FILE:
      return "not a network file, or a damaged one";
    case RETORT_NEWER_FILE:
      return "the file's format is of a later version";
    case RETORT_NO_MEMORY:
      return "not enough memory";
    case RETORT_NO_THREAD:
      return "no thread can be started";
    case RETORT_NOT_FINITE:
      return "a logit is not finite";
    case RETORT_BUSY:
      return "another thread is using the network";
  }
  return "unknown status";
}

retort_status retort_inspect(const void* file, size_t bytes, retort_info* info) {
  File opened;
  if (!info) return RETORT_BAD_ARGUMENT;
  const retort_status status = open_file(file, bytes, {}, &opened);
  if (status == RETORT_OK) *info = info_of(opened);
  return status;
}

retort_status retort_arena_size(const void* file, size_t bytes, const retort_options* options,
                                size_t* arena_bytes) {
  if (!arena_bytes) return RETORT_BAD_ARGUMENT;
  const Message message = message_of(options);
  Plan plan;
  File opened;
  retort_status status = plan_of(options, message, &plan);
  if (status == RETORT_OK) status = open_file(file, bytes, message, &opened);
  return status == RETORT_OK ? size_of(opened, plan, message, arena_bytes) : status;
}

retort_status retort_load(const void* file, size_t bytes, const retort_options* options, retort_net** net) {
  return load(file, bytes, options, nullptr, 0, net);
}

retort_status retort_load_into(const void* file, size_t bytes, const retort_options* options, void* arena,
                               size_t arena_bytes, retort_net** net) {
  if (net) *net = nullptr;
  if (!arena || reinterpret_cast<uintptr_t>(arena) % alignment != 0) {
    message_of(options).set("the block is null, or not aligned to %zu", alignment);
    return RETORT_BAD_ARGUMENT;
  }
  return load(file, bytes, options, arena, arena_bytes, net);
}

retort_status retort_load_file(const char* path, const retort_options* options, retort_net** net) {
  if (net) *net = nullptr;
  if (!path || !net) return RETORT_BAD_ARGUMENT;
  const Message message = message_of(options);
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is refused, not waited for
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    message.set("%s cannot be opened, or is no file", path);
    if (file >= 0) close(file);
    return RETORT_NO_FILE;
  }
  if (status.st_size < int64_t(file_header) || uint64_t(status.st_size) > SIZE_MAX / 2) {
    message.set("%s: its size is that of no network file", path);
    close(file);
    return RETORT_BAD_FILE;
  }
  const size_t bytes = size_t(status.st_size);
  // A copy: what is mapped may change after it was checked, or end while it is read, which kills the process.
  uint8_t* const data = static_cast<uint8_t*>(malloc(bytes));
  const size_t got = data ? read_all(file, data, bytes) : 0;
  close(file);
  retort_status loaded = RETORT_OK;
  if (!data) {
    message.set("%zu bytes are needed to read %s", bytes, path);
    loaded = RETORT_NO_MEMORY;
  } else if (got < bytes) {
    message.set("%s cannot be read, or was cut while it was", path);
    loaded = RETORT_NO_FILE;
  } else {
    loaded = load(data, bytes, options, nullptr, 0, net);
  }
  free(data);
  return loaded;
}

void retort_free(retort_net* net) {
  if (!net) return;
  net->network.threads->stop();
  free(net->network.owned);
}

retort_status retort_predict(retort_net* net, const float* images, size_t count, float* logits) {
  if (!net) return RETORT_BAD_ARGUMENT;
  Network& network = net->network;
  const Turn turn(network);
  if (!turn.taken()) return RETORT_BUSY;
  network.error[0] = 0;
  if (count == 0) return RETORT_OK;
  if (!images || !logits)
    return failed(network, RETORT_BAD_ARGUMENT, "predict: images and logits may not be null");
  const size_t image = size_t(network.info.height) * network.info.width * network.info.channels;
  for (size_t first = 0; first < count; first += size_t(network.plan.batch)) {
    const size_t left = count - first, batch = size_t(network.plan.batch);
    run(network, images + first * image, int64_t(left < batch ? left : batch),
        logits + first * network.info.classes);
  }
  for (size_t i = 0; i < count * network.info.classes; ++i) {
    if (isfinite(logits[i])) continue;
    const Message message = {network.error, sizeof network.error};
    message.set("predict: logit %zu of image %zu is not finite", i % network.info.classes,
                i / network.info.classes);
    return RETORT_NOT_FINITE;
  }
  return RETORT_OK;
}

retort_status retort_classify(retort_net* net, const float* images, size_t count, float* logits,
                              uint32_t* classes) {
  if (!net) return RETORT_BAD_ARGUMENT;
  if (!classes && count > 0) {
    const Turn turn(net->network);
    if (!turn.taken()) return RETORT_BUSY;
    return failed(net->network, RETORT_BAD_ARGUMENT, "classify: classes may not be null");
  }
  const retort_status status = retort_predict(net, images, count, logits);
  if (status != RETORT_OK) return status;
  for (size_t i = 0; i < count; ++i) {
    const float* row = logits + i * net->network.info.classes;
    classes[i] = 0;
    for (uint32_t k = 1; k < net->network.info.classes; ++k)
      if (row[k] > row[classes[i]]) classes[i] = k;
  }
  return RETORT_OK;
}

retort_status retort_normalise(const retort_net* net, const uint8_t* pixels, size_t count, float* images) {
  if (!net || (count > 0 && (!pixels || !images))) return RETORT_BAD_ARGUMENT;
  const retort_info& info = net->network.info;
  if (info.channels != 3 || !(info.std[0] > 0 && info.std[1] > 0 && info.std[2] > 0)) return RETORT_BAD_FILE;
  const size_t places = count * info.height * info.width;
  for (size_t p = 0; p < places; ++p) {
    for (size_t c = 0; c < 3; ++c)
      images[3 * p + c] = (float(pixels[3 * p + c]) / 255.0f - info.mean[c]) / info.std[c];
  }
  return RETORT_OK;
}

void retort_softmax(const float* logits, size_t classes, float* probabilities) {
  if (!logits || !probabilities || classes == 0) return;
  float top = logits[0], sum = 0;
  for (size_t k = 1; k < classes; ++k) top = logits[k] > top ? logits[k] : top;
  for (size_t k = 0; k < classes; ++k) sum += probabilities[k] = expf(logits[k] - top);
  for (size_t k = 0; k < classes; ++k) probabilities[k] /= sum;
}

retort_status retort_get_info(const retort_net* net, retort_info* info) {
  if (!net || !info) return RETORT_BAD_ARGUMENT;
  *info = net->network.info;
  return RETORT_OK;
}

uint32_t retort_test_resize(const retort_net* net) {
  return net ? net->network.test_resize : 0;
}

const char* retort_class_name(const retort_net* net, uint32_t index) {
  if (!net || !net->network.class_names || index >= net->network.info.classes) return NULL;
  return net->network.class_names[index];
}

size_t retort_memory(const retort_net* net) {
  return net ? net->network.bytes : 0;
}

uint32_t retort_threads(const retort_net* net) {
  return net ? uint32_t(net->network.plan.threads) : 0;
}

const char* retort_instruction_set(const retort_net* net) {
  return net ? retort::name_of(net->network.isa()) : "";
}

const char* retort_last_error(const retort_net* net) {
  return net ? net->network.error : "";
}

}  // extern "C"
