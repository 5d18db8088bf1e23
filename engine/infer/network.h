// A loaded network: its file turned into steps over one block of memory.
#pragma once
#include "engine/cpu/conv/channel_kernels.h"
#include "engine/cpu/conv/forward_conv.h"
#include "engine/infer/format.h"
#include "engine/infer/retort.h"
#include "engine/infer/threads.h"

namespace retort::infer {

// Where a value lies: at `offset` floats of the activations, or the caller's images.
struct Operand {
  int64_t offset = 0;
  bool is_images = false;
  Value shape = {};
};

// One node, ready to run. Pointers lead into the block.
struct Step {
  Node node;
  Operand input[most_inputs], add, output;
  const ForwardConv<float>* conv;  // conv, linear
  const float* weight;             // packed, or the scale
  const float* bias;               // or the shift
  const float* zeros;              // scale_shift
};

// Hands out the block's memory in order; without a block it only counts.
class Layout {
 public:
  Layout(void* base, size_t bytes) : base_(static_cast<char*>(base)), bytes_(bytes) {}

  // `count` objects, zeroed, aligned to 64; null while counting, and when the block is too small.
  template <class T>
  T* take(uint64_t count) {
    return static_cast<T*>(take_bytes(count, sizeof(T)));
  }
  uint64_t used() const { return used_; }
  bool overflowed() const { return overflowed_; }

 private:
  void* take_bytes(uint64_t count, uint64_t size);
  char* base_;
  size_t bytes_;
  uint64_t used_ = 0;
  bool overflowed_ = false;
};

struct Plan {
  int threads;
  int64_t batch;
  Isa isa;
};

struct Network {
  retort_info info;
  uint32_t test_resize;
  const char** class_names;  // or null
  Plan plan;
  Step* steps;
  uint32_t step_count;
  Operand output;
  float* activations;
  Threads* threads;
  const ChannelKernels<float>* kernels;
  size_t bytes;
  void* owned;  // the block if it is to be freed
  char error[160];
  bool busy;  // predicting; touched by __atomic functions alone
  Isa isa() const { return plan.isa; }
};

// Lays the network out and, unless layout only counts, fills it and starts its threads. The one function says
// how much memory is needed and uses it.
retort_status build(const File& file, const Plan& plan, Layout& layout, Network** network,
                    const Message& message);

// Logits of `images` images, at most plan.batch.
void run(Network& network, const float* images, int64_t count, float* logits);

retort_info info_of(const File& file);

}  // namespace retort::infer
