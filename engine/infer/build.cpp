#include <new>

#include "engine/infer/network.h"
#include "engine/infer/places.h"

namespace retort::infer {

namespace {

constexpr uint64_t alignment = 64;

ConvShape shape_of(const File& file, const Node& n, int64_t batch) {
  const Value x = file.value(n.input[0]), y = file.value(n.output);
  if (n.kind == Kind::linear) return {batch, 1, 1, x.channels, y.channels, 1, 1, 1, 0, 1};
  return {batch, x.height, x.width, x.channels, y.channels, n.kernel, n.kernel, n.stride, n.pad, n.groups};
}

// A vector of the file, as f32 in the block.
const float* vector(const File& file, uint32_t tensor, Layout& layout) {
  if (tensor == none) return nullptr;
  const Tensor t = file.tensor(tensor);
  float* to = layout.take<float>(t.elements());
  if (to) file.decode(t, to);
  return to;
}

}  // namespace

void* Layout::take_bytes(uint64_t count, uint64_t size) {
  const uint64_t at = (used_ + alignment - 1) / alignment * alignment;
  used_ = at + count * size;
  if (!base_) return nullptr;
  if (used_ > bytes_) {
    overflowed_ = true;
    return nullptr;
  }
  __builtin_memset(base_ + at, 0, size_t(count * size));
  return base_ + at;
}

retort_info info_of(const File& file) {
  retort_info info = {};
  __builtin_memcpy(info.model, file.name(), sizeof info.model);
  const Value in = file.value(file.input());
  info.height = in.height;
  info.width = in.width;
  info.channels = in.channels;
  info.classes = uint32_t(file.value(file.output()).elements());
  for (int c = 0; c < 3; ++c) {
    info.mean[c] = file.mean(c);
    info.std[c] = file.std(c);
  }
  uint64_t of_type[3] = {};
  for (uint32_t i = 0; i < file.nodes(); ++i) {
    const Node n = file.node(i);
    info.macs += file.macs(n);
    const bool has_weights = n.kind == Kind::conv || n.kind == Kind::linear || n.kind == Kind::scale_shift;
    if (!has_weights) continue;
    const Tensor w = file.tensor(n.weight);
    of_type[uint32_t(w.type)] += w.elements();
    info.parameters += w.elements() + (n.bias == none ? 0 : file.tensor(n.bias).elements());
  }
  info.weight_bits = 32;
  if (of_type[1] > of_type[0]) info.weight_bits = 16;
  if (of_type[2] > of_type[0] && of_type[2] > of_type[1]) info.weight_bits = 8;
  return info;
}

retort_status build(const File& file, const Plan& plan, Layout& layout, Network** result,
                    const Message& message) {
  const bool counting = layout.take<char>(0) == nullptr;
  Network* network = layout.take<Network>(1);
  Threads* threads = layout.take<Threads>(1);
  Step* steps = layout.take<Step>(file.nodes());
  Operand* operands = layout.take<Operand>(file.values());
  if (!counting && !operands) return RETORT_NO_MEMORY;

  // Values.
  Places places;
  for (uint32_t i = 0; i < file.nodes(); ++i) {
    const Node n = file.node(i);
    const Value shape = file.value(n.output);
    const int64_t offset = places.take(shape.elements() * uint64_t(plan.batch), file.last_use(n.output));
    if (offset < 0) {
      message.set("more than 64 values are needed at the same time");
      return RETORT_BAD_FILE;
    }
    if (operands) operands[n.output] = {offset, false, shape};
    places.release(i);
  }
  if (operands) operands[file.input()] = {0, true, file.value(file.input())};

  // Scratch of the threads follows the activations; while loading, weights that cannot be packed from where
  // they lie pass through both.
  const Workers workers = counting ? Workers(nullptr, {}, plan.isa) : threads->workers(plan.isa);
  uint64_t scratch = 0, decoded = 0;
  for (uint32_t i = 0; i < file.nodes(); ++i) {
    const Node n = file.node(i);
    if (n.kind != Kind::conv && n.kind != Kind::linear) continue;
    const uint64_t size = uint64_t(ForwardConv<float>(workers, shape_of(file, n, plan.batch)).scratch_size());
    scratch = size > scratch ? size : scratch;
    const Tensor w = file.tensor(n.weight);
    if (w.elements() > decoded) decoded = w.elements();
  }
  scratch = (scratch + 15) / 16 * 16;
  const uint64_t working = places.peak() + scratch * uint64_t(plan.threads);
  float* activations = layout.take<float>(working > decoded ? working : decoded);
  if (!counting) {
    if (!activations) return RETORT_NO_MEMORY;
    if (!threads->start(plan.threads, reinterpret_cast<char*>(activations + places.peak()),
                        size_t(scratch) * sizeof(float))) {
      message.set("the system gives no more threads than %d", threads->count());
      return RETORT_NO_THREAD;
    }
  }

  // Weights.
  const auto stop = [&](retort_status status) {
    if (!counting) threads->stop();
    return status;
  };
  for (uint32_t i = 0; i < file.nodes(); ++i) {
    Step step = {};
    Node& n = step.node;
    n = file.node(i);
    if (operands) {
      for (uint32_t k = 0; k < n.inputs; ++k) step.input[k] = operands[n.input[k]];
      if (n.add != none) step.add = operands[n.add];
      step.output = operands[n.output];
    }
    if (n.kind == Kind::conv || n.kind == Kind::linear) {
      ForwardConv<float>* conv = layout.take<ForwardConv<float>>(1);
      const ForwardConv<float> made(workers, shape_of(file, n, plan.batch));
      float* packed = layout.take<float>(uint64_t(made.packed_size()));
      if (packed) {
        const Tensor w = file.tensor(n.weight);
        const float* weights = file.in_place(w);
        if (!weights) {
          file.decode(w, activations);
          weights = activations;
        }
        made.pack(weights, packed);
        step.conv = new (conv) ForwardConv<float>(made);
      }
      step.weight = packed;
    }
    if (n.kind == Kind::scale_shift) {
      step.weight = vector(file, n.weight, layout);
      step.zeros = layout.take<float>(step.output.shape.channels ? step.output.shape.channels
                                                                 : file.value(n.output).channels);
    }
    if (n.kind == Kind::conv || n.kind == Kind::linear || n.kind == Kind::scale_shift)
      step.bias = vector(file, n.bias, layout);
    if (layout.overflowed()) return stop(RETORT_NO_MEMORY);
    if (steps) steps[i] = step;
  }
  const uint32_t classes = uint32_t(file.value(file.output()).elements());
  char* text = file.names_bytes() ? layout.take<char>(file.names_bytes()) : nullptr;
  const char** names = file.names_bytes() ? layout.take<const char*>(classes) : nullptr;
  layout.take<char>(alignment);  // a multiple of the alignment, whoever allocates it
  if (counting) return RETORT_OK;
  if (layout.overflowed()) return stop(RETORT_NO_MEMORY);
  if (text) __builtin_memcpy(text, file.names(), file.names_bytes());
  for (uint32_t k = 0, at = 0; names && k < classes; ++k) {
    names[k] = text + at;
    while (text[at++]) {
    }
  }
  network->info = info_of(file);
  network->test_resize = file.test_resize();
  network->class_names = names;
  network->plan = plan;
  network->steps = steps;
  network->step_count = file.nodes();
  network->output = operands[file.output()];
  network->activations = activations;
  network->threads = threads;
  network->kernels = &channel_kernels<float>(plan.isa);
  network->bytes = size_t(layout.used());
  *result = network;
  return RETORT_OK;
}

}  // namespace retort::infer
