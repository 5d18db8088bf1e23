#include "engine/infer/network.h"

namespace retort::infer {

namespace {

constexpr int64_t part = 16384;  // elements of one task

// Channels [from_first, from_first + count) of each place, to channels from to_first on.
void copy_channels(const float* from, int64_t from_channels, int64_t from_first, float* to,
                   int64_t to_channels, int64_t to_first, int64_t places, int64_t count) {
  for (int64_t p = 0; p < places; ++p)
    __builtin_memcpy(to + p * to_channels + to_first, from + p * from_channels + from_first,
                     size_t(count) * sizeof(float));
}

class Runner {
 public:
  Runner(Network& network, const float* images, int64_t count)
      : network_(network),
        kernels_(*network.kernels),
        workers_(network.threads->workers(network.isa())),
        images_(images),
        count_(count) {}

  void run(const Step& step) const {
    const Node& n = step.node;
    const Value &in = step.input[0].shape, &out = step.output.shape;
    const float* x = read(step.input[0]);
    float* y = network_.activations + step.output.offset;
    const float* add = n.add == none ? nullptr : read(step.add);
    const int64_t places = count_ * out.height * out.width, channels = out.channels;
    switch (n.kind) {
      case Kind::conv:
      case Kind::linear:
        step.conv->run(x, count_, step.weight, step.bias, add, n.relu, y);
        break;
      case Kind::scale_shift:
        for_places(places, channels, [&](int64_t first, int64_t count) {
          const int64_t at = first * channels;
          kernels_.affine(x + at, add ? add + at : nullptr, n.relu, count, channels, step.weight, step.zeros,
                          step.bias, y + at);
        });
        break;
      case Kind::relu:
        for_places(places, channels, [&](int64_t first, int64_t count) {
          kernels_.relu(x + first * channels, y + first * channels, count * channels);
        });
        break;
      case Kind::add: {
        const float* other = read(step.input[1]);
        for_places(places, channels, [&](int64_t first, int64_t count) {
          const int64_t at = first * channels;
          kernels_.add(x + at, other + at, y + at, count * channels);
        });
        break;
      }
      case Kind::max_pool:
      case Kind::average_pool:
        workers_.run(count_, [&](int64_t image, int) {
          const Pooling<float> problem = {x + image * int64_t(in.elements()),
                                          in.height,
                                          in.width,
                                          in.channels,
                                          n.kernel,
                                          n.stride,
                                          n.pad,
                                          out.height,
                                          out.width,
                                          y + image * int64_t(out.elements()),
                                          nullptr,
                                          0};
          (n.kind == Kind::max_pool ? kernels_.max_pool : kernels_.average_pool)(problem);
        });
        break;
      case Kind::global_average:
        for (int64_t i = 0; i < count_; ++i)
          kernels_.global_average(x + i * int64_t(in.elements()), int64_t(in.height) * in.width, channels,
                                  y + i * channels);
        break;
      case Kind::slice:
        copy_channels(x, in.channels, n.first, y, channels, 0, places, channels);
        break;
      case Kind::pad_channels:
        __builtin_memset(y, 0, size_t(places * channels) * sizeof(float));
        copy_channels(x, in.channels, 0, y, channels, n.first, places, in.channels);
        break;
      case Kind::concat: {
        int64_t first = 0;
        for (uint32_t k = 0; k < n.inputs; ++k) {
          const int64_t own = step.input[k].shape.channels;
          copy_channels(read(step.input[k]), own, 0, y, channels, first, places, own);
          first += own;
        }
        break;
      }
      case Kind::shuffle:
        for_places(places, channels, [&](int64_t first, int64_t count) {
          kernels_.shuffle(x + first * channels, y + first * channels, count, n.groups, channels / n.groups);
        });
        break;
    }
  }

 private:
  const float* read(const Operand& operand) const {
    return operand.is_images ? images_ : network_.activations + operand.offset;
  }
  // f(first, count) over parts of all places.
  template <class F>
  void for_places(int64_t places, int64_t channels, const F& f) const {
    const int64_t step = part / channels > 0 ? part / channels : 1;
    workers_.for_ranges(places, step, [&](int64_t first, int64_t last) { f(first, last - first); });
  }

  Network& network_;
  const ChannelKernels<float>& kernels_;
  const Workers workers_;
  const float* images_;
  int64_t count_;
};

}  // namespace

void run(Network& network, const float* images, int64_t count, float* logits) {
  const Runner runner(network, images, count);
  for (uint32_t i = 0; i < network.step_count; ++i) runner.run(network.steps[i]);
  const size_t size = size_t(count) * network.info.classes * sizeof(float);
  __builtin_memcpy(logits, network.activations + network.output.offset, size);
}

}  // namespace retort::infer
