#include "distill/evaluate/exported_network.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <variant>

#include "distill/evaluate/network_file.h"
#include "distill/evaluate/seen_by.h"
#include "engine/base/atomic_file.h"
#include "engine/base/byte_reader.h"
#include "engine/base/file.h"
#include "engine/base/file_kind.h"
#include "engine/base/utf8.h"
#include "engine/cpu/thread_pool.h"
#include "engine/infer/retort.h"
#include "models/channel_numbers.h"
#include "models/export/onnx_model.h"
#include "models/network_input.h"

namespace retort {

namespace {

std::string_view text_of_bytes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// By the embeddable library.
class InferNetwork : public ExportedNetwork {
 public:
  InferNetwork(const std::filesystem::path& path, std::span<const std::byte> file, int threads) {
    weights_.source = path.string();
    weights_.path = path;
    char message[200] = "";
    const retort_options options = {uint32_t(std::min(threads, 64)), 0, message, sizeof message};
    const retort_status status = retort_load(file.data(), file.size(), &options, &net_);
    check(status == RETORT_OK, fault_of_load(status, Fault::input), path.string(), ": ",
          retort_status_text(status), " (", message, ")");
    retort_info info{};
    retort_get_info(net_, &info);
    check(info.height == info.width && info.channels == 3, Fault::input, path.string(), ": is for images of ",
          info.width, "x", info.height, " with ", info.channels, " channels, expected square ones with 3");
    side_ = int64_t(info.height);
    weights_.architecture = info.model;
    check(is_utf8(weights_.architecture), Fault::input, path.string(),
          ": the name of its network is no UTF-8");
    weights_.classes = int64_t(info.classes);
    if (info.std[0] > 0) {  // otherwise whoever wrote the file did not know
      ChannelNumbers mean{}, deviation{};
      std::copy_n(info.mean, 3, mean.begin());
      std::copy_n(info.std, 3, deviation.begin());
      weights_.file.metadata = {{"mean", text_of(mean)}, {"std", text_of(deviation)}};
    }
    const uint32_t resize = retort_test_resize(net_);
    NetworkInput input{side_, resize > 0 ? int64_t(resize) : usual_test_resize(side_), {}};
    if (retort_class_name(net_, 0))
      for (uint32_t k = 0; k < info.classes; ++k) {
        const std::string& name = input.class_names.emplace_back(retort_class_name(net_, k));
        check(is_utf8(name), Fault::input, path.string(), ": the name of class ", k, " is no UTF-8");
      }
    put_input(input, weights_.file.metadata);
    description_ = text(info.model, ", weights of ", info.weight_bits, " bits, by the embeddable library");
  }
  ~InferNetwork() override { retort_free(net_); }

 protected:
  std::vector<float> run(std::span<const float> images, int64_t count) override {
    std::vector<float> logits(size_t(count * classes()));
    const retort_status status = retort_predict(net_, images.data(), size_t(count), logits.data());
    // Numbers that are not finite are told with the image's number.
    check(status == RETORT_OK || status == RETORT_NOT_FINITE,
          "the embeddable library: ", retort_last_error(net_));
    return logits;
  }

 private:
  retort_net* net_ = nullptr;
};

// By ONNX's definitions: slow, so each thread takes a part of the images.
class OnnxNetwork : public ExportedNetwork {
 public:
  OnnxNetwork(const std::filesystem::path& path, std::span<const std::byte> file, int threads)
      : model_(parse_onnx(text_of_bytes(file), path.string())), threads_(threads) {
    weights_.source = path.string();
    weights_.path = path;
    weights_.file.metadata = model_.metadata;
    const std::vector<int64_t>&in = model_.input.shape, &out = model_.output.shape;
    check(in.size() == 3 && in[0] == 3 && in[1] == in[2] && in[1] >= 1 && out.size() == 1 && out[0] >= 1,
          Fault::input, path.string(),
          ": is no network of `retort export`: expected images N,3,side,side and logits");
    side_ = in[1];
    weights_.architecture = model_.name;
    weights_.classes = out[0];
    set_input(weights_.file.metadata, side_, 0);
    for (const OnnxTensor& t : model_.initializers) {
      const auto* values = std::get_if<std::vector<float>>(&t.values);
      if (!values) continue;
      for (const float value : *values)
        check(std::isfinite(value), Fault::input, path.string(), ": tensor ", in_quotes(t.name), " holds ",
              value, ", expected finite numbers");
    }
    description_ = model_.name + ", by the definitions of ONNX's operators, which is slow";
  }

 protected:
  std::vector<float> run(std::span<const float> images, int64_t count) override {
    std::vector<float> logits(size_t(count * classes()));
    const int64_t workers = std::min<int64_t>(threads_, count);
    std::exception_ptr failure;
    std::mutex mutex;
    {
      std::vector<std::jthread> helpers;
      for (int64_t w = 0; w < workers; ++w) {
        helpers.emplace_back([&, first = count * w / workers, last = count * (w + 1) / workers] {
          try {
            run_part(images, first, last, logits);
          } catch (...) {
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
          }
        });
      }
    }
    if (failure) std::rethrow_exception(failure);
    return logits;
  }

 private:
  void run_part(std::span<const float> images, int64_t first, int64_t last,
                std::vector<float>& logits) const {
    const int64_t plane = side_ * side_, size = 3 * plane;
    std::vector<float> planar(size_t((last - first) * size));
    for (int64_t i = first; i < last; ++i)
      for (int64_t p = 0; p < plane; ++p)
        for (int64_t c = 0; c < 3; ++c)
          planar[size_t((i - first) * size + c * plane + p)] = images[size_t(i * size + p * 3 + c)];
    const std::vector<float> found = run_onnx(model_, planar, last - first, weights_.source);
    check(int64_t(found.size()) == (last - first) * classes(), Fault::input, weights_.source, ": gives ",
          found.size(), " logits for ", last - first, " images, expected ", classes(), " each");
    std::copy(found.begin(), found.end(), logits.begin() + first * classes());
  }

  OnnxModel model_;
  int threads_;
};

}  // namespace

std::unique_ptr<ExportedNetwork> ExportedNetwork::open(const std::filesystem::path& path, int threads) {
  // What can be read only once, a pipe, is left to the reader of weights.
  if (!std::filesystem::is_regular_file(path)) return nullptr;
  const FileKind kind = kind_of_file(InputFile(path).beginning());
  if (threads == 0) threads = cpu_quota();
  if (kind == FileKind::network) return std::make_unique<InferNetwork>(path, read_file(path), threads);
  if (kind == FileKind::onnx) return std::make_unique<OnnxNetwork>(path, read_file(path), threads);
  return nullptr;
}

std::vector<float> ExportedNetwork::logits(std::span<const float> images, int64_t count) {
  check(int64_t(images.size()) == count * side_ * side_ * 3, "exported network: ", images.size(),
        " numbers for ", count, " images");
  std::vector<float> all = run(images, count);
  for (size_t i = 0; i < all.size(); ++i) {
    check(std::isfinite(all[i]), Fault::diverged, weights_.source, ": logit ", i % size_t(classes()),
          " of image ", i / size_t(classes()), " is ", all[i], ": numbers overflow inside the network");
  }
  return all;
}

Evaluation ExportedNetwork::evaluate(const ImageSet& images, const Normalize& numbers, bool per_class,
                                     const std::function<void(int64_t done, int64_t total)>& progress) {
  check(
      images.height == side_ && images.width == side_ && images.channels == 3 && images.classes <= classes(),
      Fault::input, "the images are ", images.width, "x", images.height, " of ", images.classes, " classes, ",
      weights_.source, " is for ", side_, "x", side_, " of ", classes());
  check(images.size() > 0, Fault::input, "evaluate: there are no images");
  ImagesSeen seen(images, numbers);
  constexpr int64_t batch = 32;
  Evaluation result;
  result.n = images.size();
  if (per_class) result.per_class.resize(size_t(images.classes));
  int64_t right1 = 0, right5 = 0;
  double loss = 0;
  for (int64_t first = 0; first < images.size(); first += batch) {
    const int64_t count = std::min(batch, images.size() - first);
    const std::vector<float> found = logits(seen.read(first, count), count);
    for (int64_t i = 0; i < count; ++i) {
      const float* row = found.data() + i * classes();
      const int32_t label = images.labels[size_t(first + i)];
      const double largest = double(*std::max_element(row, row + classes()));
      double sum = 0;
      int64_t before = 0;  // classes that are likelier; at a tie the lower class
      for (int64_t k = 0; k < classes(); ++k) {
        sum += std::exp(double(row[k]) - largest);
        before += row[k] > row[label] || (row[k] == row[label] && k < label);
      }
      loss += largest + std::log(sum) - double(row[label]);
      right1 += before == 0;
      right5 += before < 5;
      if (!per_class) continue;
      auto& own = result.per_class[size_t(label)];
      ++own.images;
      own.correct += before == 0;
    }
    if (progress) progress(first + count, images.size());
  }
  const double n = double(result.n);
  result.top1 = 100.0 * double(right1) / n;
  result.top5 = 100.0 * double(right5) / n;
  result.loss = loss / n;
  return result;
}

}  // namespace retort
