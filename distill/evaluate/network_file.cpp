#include "distill/evaluate/network_file.h"

#include <algorithm>

#include "datasets/loader.h"
#include "distill/evaluate/seen_by.h"
#include "engine/base/check.h"
#include "engine/infer/retort.h"

namespace retort {

namespace {

class Net {
 public:
  Net(std::span<const std::byte> file, int threads) {
    char message[200];
    const retort_options options = {uint32_t(std::clamp(threads, 1, 64)), 0, message, sizeof message};
    const retort_status status = retort_load(file.data(), file.size(), &options, &net_);
    check(status == RETORT_OK, fault_of_load(status, Fault::verification),
          "the embeddable library refuses the network: ", retort_status_text(status), " (", message, ")");
    retort_get_info(net_, &info);
  }
  ~Net() { retort_free(net_); }
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  void predict(const float* images, size_t count, float* logits, uint32_t* classes) {
    const retort_status status = retort_classify(net_, images, count, logits, classes);
    check(status == RETORT_OK, Fault::verification, "the embeddable library: ", retort_last_error(net_));
  }

  retort_info info{};

 private:
  retort_net* net_ = nullptr;
};

}  // namespace

Fault fault_of_load(retort_status status, Fault of_file) {
  return status == RETORT_NO_MEMORY || status == RETORT_NO_THREAD ? Fault::memory : of_file;
}

std::vector<float> network_file_logits(std::span<const std::byte> file, std::span<const float> images,
                                       int64_t count) {
  Net net(file, 1);
  check(images.size() == size_t(count) * net.info.height * net.info.width * net.info.channels,
        "network_file_logits: ", images.size(), " numbers for ", count, " images");
  std::vector<float> logits(size_t(count) * net.info.classes);
  std::vector<uint32_t> classes(static_cast<size_t>(count));
  net.predict(images.data(), size_t(count), logits.data(), classes.data());
  return logits;
}

NetworkAccuracy network_file_accuracy(std::span<const std::byte> file, const ImageSet& images, int threads,
                                      const std::function<void(int64_t done, int64_t total)>& progress) {
  Net net(file, threads);
  check(images.height == int(net.info.height) && images.width == int(net.info.width) &&
            images.channels == int(net.info.channels) && images.classes <= int(net.info.classes),
        Fault::input, "the images are ", images.height, "x", images.width, " of ", images.classes,
        " classes, the network is for ", net.info.height, "x", net.info.width, " of ", net.info.classes);
  Normalize numbers = normalize_of(images);
  if (net.info.std[0] > 0) {  // otherwise whoever wrote the file did not know
    std::copy_n(net.info.mean, 3, numbers.mean);
    std::copy_n(net.info.std, 3, numbers.stddev);
  }
  ImagesSeen seen(images, numbers);
  constexpr int64_t batch = 100;
  std::vector<float> logits(size_t(batch) * net.info.classes);
  NetworkAccuracy result;
  result.answers.resize(size_t(images.size()));
  int64_t right = 0;
  for (int64_t first = 0; first < images.size(); first += batch) {
    const int64_t count = std::min(batch, images.size() - first);
    net.predict(seen.read(first, count).data(), size_t(count), logits.data(), result.answers.data() + first);
    for (int64_t i = first; i < first + count; ++i)
      right += result.answers[size_t(i)] == uint32_t(images.labels[size_t(i)]);
    if (progress) progress(first + count, images.size());
  }
  result.top1 = images.size() ? 100.0 * double(right) / double(images.size()) : 0;
  return result;
}

}  // namespace retort
