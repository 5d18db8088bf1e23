// OneDnn: Portable with oneDNN's convolutions and matrix products. Works with oneDNN 2 (Debian 12 has 2.6.3)
// and 3.
//
// oneDNN with several threads does not give the same bits for every number of them, so it never gets more
// than one: the batch is cut into shards, whose number depends on the problem only, and our threads run
// single-threaded primitives on them. Weight gradients of shards are summed in the order of the shards.
//
// Activations are N,H,W,C for oneDNN too. Weights are not: its fast kernels want them in blocks, so each call
// reorders K,R,S,C (a hundredth of the convolution's time at most; weights change at every step).
#include "engine/cpu/onednn.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstring>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/cpu/elementwise_kernels.h"
#include "engine/cpu/portable.h"
#include "engine/cpu/winograd.h"

namespace retort {

namespace {

using dnnl::memory;

// --- one thread for oneDNN --------------------------------------------------------------------------------

static_assert(DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP ||
                  DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_SEQ,
              "oneDNN has to be built for OpenMP or without threads, so that it can be held to one thread");

// The OpenMP library that oneDNN runs on, looked up at run time: linking one would bring in a second where
// oneDNN uses another (libgomp, libomp, libiomp5), and a weak symbol may be bound to null by the linker.
struct OpenMp {
  int (*max_threads)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  void (*set_threads)(int) = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
};

// Holds OpenMP to one thread in what the calling thread does while this lives; the setting is a thread's own.
class OneThread {
 public:
  explicit OneThread(const OpenMp& openmp) : openmp_(openmp) {
    if (!openmp_.set_threads) return;
    before_ = openmp_.max_threads();
    openmp_.set_threads(1);
  }
  ~OneThread() {
    if (openmp_.set_threads) openmp_.set_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const OpenMp& openmp_;
  int before_ = 1;
};

// --- oneDNN 2 and 3 ---------------------------------------------------------------------------------------

// Describes an operation to oneDNN; empty if it has no implementation. Version 2 takes an operation's desc,
// version 3 its arguments; hint is the forward operation's description, for a backward one.
template <class Primitive, class... Hint, class... Args>
auto describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
              const std::tuple<Args...>& arguments, const Hint&... hint) {
  return std::apply(
      [&](const auto&... args) {
        using Description = typename Primitive::primitive_desc;
        if constexpr (requires { typename Primitive::desc; }) {
          return Description(typename Primitive::desc(args...), attr, engine, hint..., true);
        } else {
          return Description(engine, args..., hint..., attr, true);
        }
      },
      arguments);
}

template <class PostOps>
void append_relu(PostOps& post) {
  constexpr auto relu = dnnl::algorithm::eltwise_relu;
  if constexpr (requires { post.append_eltwise(1.f, relu, 0.f, 0.f); })
    post.append_eltwise(1.f, relu, 0.f, 0.f);
  else
    post.append_eltwise(relu, 0.f, 0.f);
}

// --- plans ------------------------------------------------------------------------------------------------

// A primitive and, for each thread, memory objects to point at its operands. Executing a primitive changes
// nothing in it, so that threads share it.
class Kernel {
 public:
  using Operands = std::vector<std::pair<int, memory::desc>>;  // DNNL_ARG_..., desc

  Kernel() = default;
  Kernel(const dnnl::primitive& primitive, const Operands& operands, const dnnl::engine& engine, int threads)
      : primitive_(primitive) {
    for (int t = 0; t < threads; ++t) {
      std::vector<memory>& memories = memories_.emplace_back();
      std::vector<dnnl_exec_arg_t>& arguments = arguments_.emplace_back();
      for (const auto& [argument, desc] : operands) {
        memories.emplace_back(desc, engine, nullptr);
        arguments.push_back({argument, memories.back().get()});
      }
    }
  }

  // Points every thread at an operand that all share. Before the threads run: oneDNN 2 clears the padding of
  // blocked weights when it is told their address.
  dnnl_status_t share(size_t operand, const void* data) {
    for (const auto& memories : memories_) {
      const dnnl_status_t status = point(memories[operand], data);
      if (status != dnnl_success) return status;
    }
    return dnnl_success;
  }

  // data: the addresses of the operands, in their order.
  dnnl_status_t run(int thread, const dnnl::stream& stream, std::span<const void* const> data) {
    for (size_t i = 0; i < data.size(); ++i) {
      const dnnl_status_t status = point(memories_[size_t(thread)][i], data[i]);
      if (status != dnnl_success) return status;
    }
    const auto& arguments = arguments_[size_t(thread)];
    return dnnl_primitive_execute(primitive_.get(), stream.get(), int(arguments.size()), arguments.data());
  }

 private:
  static dnnl_status_t point(const memory& object, const void* data) {
    void* before = nullptr;
    const dnnl_status_t status = dnnl_memory_get_data_handle(object.get(), &before);
    if (status != dnnl_success || before == data) return status;
    return dnnl_memory_set_data_handle(object.get(), const_cast<void*>(data));
  }

  dnnl::primitive primitive_;
  std::vector<std::vector<memory>> memories_;  // thread, operand
  std::vector<std::vector<dnnl_exec_arg_t>> arguments_;
};

enum class Direction { forward, input_gradient, weight_gradient };

// What a plan is made for; everything that chooses a primitive.
struct Problem {
  Direction direction;
  int64_t images, height, width, channels, out_height, out_width, outputs, kernel_height, kernel_width;
  int64_t stride, pad, groups;
  bool bias, add, relu;  // forward
  bool accumulate;       // weight gradient
  auto operator<=>(const Problem&) const = default;

  int64_t input_size() const { return height * width * channels; }  // of one image
  int64_t output_size() const { return out_height * out_width * outputs; }
  int64_t products() const { return output_size() * kernel_height * kernel_width * (channels / groups); }
};

// How a convolution is computed: by oneDNN in shards, or not by it.
struct Plan {
  bool available = false;
  int64_t images = 0, shards = 1;
  Kernel kernels[2];            // for shards of images / shards images, and of one more
  Kernel reorder;               // of the weights, or of their gradient
  int64_t weights_count = 0;    // floats in oneDNN's layout, with its padding
  size_t weights_bytes = 0;     // and rounded up to a cache line, as all sizes of scratch here
  size_t scratchpad_bytes = 0;  // of one thread
  size_t reorder_scratchpad_bytes = 0;

  int64_t first(int64_t shard) const { return images * shard / shards; }
  int64_t count(int64_t shard) const { return first(shard + 1) - first(shard); }
  Kernel& kernel(int64_t shard) { return kernels[count(shard) - images / shards]; }
};

// A shard is worth some 20 us at least, to be worth the 2 us that a primitive takes to start. More shards
// than threads keep all busy to the end. In the gradient of weights a shard costs a pass over a copy of the
// weights.
int64_t shards_of(const Problem& p) {
  constexpr int64_t most = 32, most_sums = 8, least_work = 1 << 20, least_pixels = 512;
  const int64_t work = p.products() + 8 * (p.input_size() + p.output_size());
  int64_t shards = p.images * work / least_work;
  if (p.direction == Direction::weight_gradient) {
    shards = std::min({shards, most_sums, p.images * p.out_height * p.out_width / least_pixels});
  }
  return std::clamp<int64_t>(shards, 1, std::min(p.images, most));
}

size_t round_up(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

memory::desc plain(const memory::dims& extents, memory::format_tag tag) {
  return {extents, memory::data_type::f32, tag};
}

// K,R,S,C as oneDNN names it, or any layout.
memory::desc weights_desc(const Problem& p, bool any) {
  using tag = memory::format_tag;
  if (p.groups == 1) {
    return plain({p.outputs, p.channels, p.kernel_height, p.kernel_width}, any ? tag::any : tag::ohwi);
  }
  return plain({p.groups, p.outputs / p.groups, p.channels / p.groups, p.kernel_height, p.kernel_width},
               any ? tag::any : tag::gohwi);
}

dnnl::primitive_attr user_memory() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// A primitive of a plan.
struct Described {
  dnnl::primitive primitive;  // empty if oneDNN has none that is fast
  memory::desc weights, scratchpad;
  Kernel::Operands operands;  // input, weights, output, scratchpad, then the bias if there is one
};

// Implementations that another one beats: oneDNN's portable code, which is there to be correct (ours is
// faster), and oneDNN 3's kernel for the input gradient under a stride (the next one is up to twice as fast).
bool unwanted(const std::string& implementation) {
  return implementation.find("ref") != std::string::npos ||
         implementation.find("brgconv_strided") != std::string::npos;
}

template <class Primitive>
Described take(typename Primitive::primitive_desc description, int input, int weights, int output) {
  Described result;
  if (!description) return result;
  while (unwanted(description.impl_info_str())) {
    if (!description.next_impl()) return result;
  }
  const auto desc = [&](int argument) { return description.query_md(dnnl::query::exec_arg_md, argument); };
  result.primitive = Primitive(description);
  result.weights = desc(weights);
  result.scratchpad = description.scratchpad_desc();
  result.operands = {{input, desc(input)},
                     {weights, result.weights},
                     {output, desc(output)},
                     {DNNL_ARG_SCRATCHPAD, result.scratchpad}};
  return result;
}

// The convolution of this number of images, with these weights: of any layout, or as decided before.
Described describe_shard(const Problem& p, int64_t images, const memory::desc& weights,
                         const dnnl::engine& engine) {
  using namespace dnnl;
  const memory::desc x = plain({images, p.channels, p.height, p.width}, memory::format_tag::nhwc);
  const memory::desc y = plain({images, p.outputs, p.out_height, p.out_width}, memory::format_tag::nhwc);
  const memory::desc bias = p.bias ? plain({p.outputs}, memory::format_tag::a) : memory::desc();
  const memory::dims strides{p.stride, p.stride}, pad{p.pad, p.pad};
  const algorithm direct = algorithm::convolution_direct;
  post_ops post;
  if (p.add) post.append_sum(1.f);
  if (p.relu) append_relu(post);
  primitive_attr attr = user_memory();
  attr.set_post_ops(post);

  // A gradient is described with the forward operation as a hint.
  const auto forward = describe<convolution_forward>(
      engine, attr,
      std::tuple(prop_kind::forward_training, direct, x,
                 p.direction == Direction::forward ? weights : weights_desc(p, true), bias, y, strides, pad,
                 pad));
  if (!forward) return {};
  const std::tuple arguments(direct, x, weights, y, strides, pad, pad);
  switch (p.direction) {
    case Direction::input_gradient:
      return take<convolution_backward_data>(
          describe<convolution_backward_data>(engine, attr, arguments, forward), DNNL_ARG_DIFF_SRC,
          DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST);
    case Direction::weight_gradient:
      return take<convolution_backward_weights>(
          describe<convolution_backward_weights>(engine, attr, arguments, forward), DNNL_ARG_SRC,
          DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST);
    case Direction::forward:
      break;
  }
  Described result = take<convolution_forward>(forward, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST);
  if (p.bias) result.operands.emplace_back(DNNL_ARG_BIAS, bias);
  return result;
}

Plan make_plan(const Problem& p, const dnnl::engine& engine, int threads) {
  Plan plan;
  plan.images = p.images;
  plan.shards = shards_of(p);
  memory::desc weights = weights_desc(p, true);
  size_t scratchpad = 0;
  for (int64_t extra = 0; extra <= (p.images % plan.shards ? 1 : 0); ++extra) {
    const Described shard = describe_shard(p, p.images / plan.shards + extra, weights, engine);
    if (!shard.primitive) return plan;
    weights = shard.weights;
    scratchpad = std::max(scratchpad, shard.scratchpad.get_size());
    plan.kernels[extra] = Kernel(shard.primitive, shard.operands, engine, threads);
  }
  plan.weights_count = int64_t(weights.get_size() / sizeof(float));
  plan.weights_bytes = round_up(weights.get_size());
  plan.scratchpad_bytes = round_up(scratchpad);

  const bool backwards = p.direction == Direction::weight_gradient;
  const memory::desc ours = weights_desc(p, false), &from = backwards ? weights : ours,
                     &to = backwards ? ours : weights;
  dnnl::primitive_attr attr = user_memory();
  if (p.accumulate) {
    dnnl::post_ops post;
    post.append_sum(1.f);
    attr.set_post_ops(post);
  }
  const dnnl::reorder::primitive_desc reorder(engine, from, engine, to, attr);
  plan.reorder_scratchpad_bytes = round_up(reorder.scratchpad_desc().get_size());
  plan.reorder =
      Kernel(dnnl::reorder(reorder),
             {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, reorder.scratchpad_desc()}},
             engine, 1);
  plan.available = true;
  return plan;
}

// --- the backend ------------------------------------------------------------------------------------------

class OneDnn : public Portable {
 public:
  OneDnn(int threads, const OpenMp& openmp)
      : Portable(threads), openmp_(openmp), engine_(dnnl::engine::kind::cpu, 0) {
    for (int t = 0; t < pool_.threads(); ++t) streams_.emplace_back(engine_);
  }

  std::string name() const override { return "onednn"; }
  std::string description() const override {
    const dnnl_version_t& v = *dnnl_version();
    return text("oneDNN ", v.major, ".", v.minor, ".", v.patch, ", ", name_of(isa_), ", ", pool_.threads(),
                pool_.threads() == 1 ? " thread" : " threads");
  }

  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override;
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override;
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override;
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override;

 private:
  // The plan for this convolution; null if Portable computes it.
  Plan* plan_for(const Problem& problem);
  bool portable_is_faster(const Problem& problem);

  // Calls f(task, thread) for every task with OpenMP held to one thread; f returns oneDNN's status.
  template <class F>
  void run(const char* operation, int64_t tasks, const F& f) {
    std::atomic<dnnl_status_t> status{dnnl_success};
    pool_.run(tasks, [&](int64_t task, int thread) {
      const OneThread one_thread(openmp_);
      const dnnl_status_t s = f(task, thread);
      if (s != dnnl_success) status.store(s, std::memory_order_relaxed);
    });
    check(status == dnnl_success, operation, ": oneDNN failed with status ", int(status.load()));
  }
  dnnl_status_t run(Kernel& kernel, int thread, std::span<const void* const> operands) {
    return kernel.run(thread, streams_[size_t(thread)], operands);
  }
  // Grows every thread's scratch before the threads run: they cannot throw if there is not enough memory.
  void reserve_thread_scratch(size_t bytes) {
    for (int t = 0; t < pool_.threads(); ++t) thread_scratch(t, bytes);
  }
  // The weights in the plan's layout, in shared scratch.
  const void* packed(const char* operation, Plan& plan, const Tensor& w);

  const OpenMp openmp_;
  const dnnl::engine engine_;
  std::vector<dnnl::stream> streams_;  // one for each thread
  std::map<Problem, Plan> plans_;
};

Problem problem_of(Direction direction, const Tensor& x, const Tensor& w, const Tensor& y,
                   const Conv2dSpec& spec) {
  const Shape &in = x.shape, &out = y.shape, &kernel = w.shape;
  check(in.rank() == 4 && out.rank() == 4 && kernel.rank() == 4 && in[0] == out[0], "convolution: x ", in,
        ", w ", kernel, ", y ", out, " do not belong together");  // oneDNN checks the other extents
  return {direction, in[0],       in[1],    in[2],       in[3], out[1], out[2], out[3], kernel[1],
          kernel[2], spec.stride, spec.pad, spec.groups, false, false,  false,  false};
}

// Portable's Winograd convolutions need 1.5 to 2.5 times less time than oneDNN's direct ones, which is all it
// has where channels are innermost (bench/RESULTS.md).
bool OneDnn::portable_is_faster(const Problem& p) {
  const bool backward = p.direction == Direction::input_gradient;
  Source<float> windows{};
  windows.images = p.images;
  windows.groups = p.groups;
  windows.channels = (backward ? p.outputs : p.channels) / p.groups;
  windows.channel_step = 1;
  windows.stride = p.stride;
  windows.rows = p.kernel_height;
  windows.columns = p.kernel_width;
  windows.height = backward ? p.height : p.out_height;
  windows.width = backward ? p.width : p.out_width;
  return Winograd(workers()).suits(windows, (backward ? p.channels : p.outputs) / p.groups);
}

Plan* OneDnn::plan_for(const Problem& problem) {
  auto found = plans_.find(problem);
  if (found == plans_.end()) {
    const OneThread one_thread(openmp_);  // a primitive is made for a number of threads
    try {
      found =
          plans_
              .emplace(problem,
                       portable_is_faster(problem) ? Plan{} : make_plan(problem, engine_, pool_.threads()))
              .first;
    } catch (const dnnl::error& error) {
      fail(error.status == dnnl_out_of_memory ? Fault::memory : Fault::internal,
           "oneDNN cannot plan a convolution of ", problem.channels, " to ", problem.outputs,
           " channels: ", error.what());
    }
  }
  return found->second.available ? &found->second : nullptr;
}

const void* OneDnn::packed(const char* operation, Plan& plan, const Tensor& w) {
  char* scratch = static_cast<char*>(shared_scratch(plan.weights_bytes + plan.reorder_scratchpad_bytes));
  const void* operands[] = {w.data, scratch, scratch + plan.weights_bytes};
  run(operation, 1, [&](int64_t, int thread) {
    for (Kernel& kernel : plan.kernels) {
      const dnnl_status_t status = kernel.share(1, scratch);
      if (status != dnnl_success) return status;
    }
    return run(plan.reorder, thread, operands);
  });
  return scratch;
}

void OneDnn::conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
                    const Tensor& y) {
  Plan* plan = nullptr;
  if (x.type == DType::f32 && y.size() > 0) {
    Problem problem = problem_of(Direction::forward, x, w, y, spec);
    problem.bias = bool(epilogue.bias);
    problem.add = bool(epilogue.add);
    problem.relu = epilogue.relu;
    plan = plan_for(problem);
  }
  if (!plan) return Portable::conv2d(x, w, spec, epilogue, y);
  const int64_t x_size = x.size() / plan->images, y_size = y.size() / plan->images;  // of one image
  const float *in = x.as<float>(), *add = epilogue.add ? epilogue.add.as<float>() : nullptr;
  float* out = y.as<float>();
  const void* weights = packed("conv2d", *plan, w);
  reserve_thread_scratch(plan->scratchpad_bytes);
  run("conv2d", plan->shards, [&](int64_t shard, int thread) {
    const int64_t image = plan->first(shard);
    float* to = out + image * y_size;
    // oneDNN adds to what is in y.
    if (add && add != out)
      std::memcpy(to, add + image * y_size, size_t(plan->count(shard) * y_size) * sizeof(float));
    const void* operands[] = {in + image * x_size, weights, to,
                              thread_scratch(thread, plan->scratchpad_bytes), epilogue.bias.data};
    return run(plan->kernel(shard), thread, {operands, epilogue.bias ? 5u : 4u});
  });
}

void OneDnn::conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                                   const Sink& dx) {
  Plan* plan = nullptr;
  if (dx && dy.type == DType::f32 && dx.to.size() > 0 && dy.size() > 0) {
    plan = plan_for(problem_of(Direction::input_gradient, dx.to, w, dy, spec));
  }
  if (!plan) return Portable::conv2d_input_gradient(dy, w, spec, dx);
  const int64_t x_size = dx.to.size() / plan->images, y_size = dy.size() / plan->images;
  const float* from = dy.as<float>();
  float* to = dx.to.as<float>();
  const void* weights = packed("conv2d_input_gradient", *plan, w);
  // oneDNN cannot accumulate here: a shard's gradient is made in the thread's scratch, behind the scratchpad.
  const size_t shard_bytes =
      dx.accumulates() ? size_t((plan->images / plan->shards + 1) * x_size) * sizeof(float) : 0;
  const size_t bytes = plan->scratchpad_bytes + shard_bytes;
  reserve_thread_scratch(bytes);
  run("conv2d_input_gradient", plan->shards, [&](int64_t shard, int thread) {
    const int64_t image = plan->first(shard);
    char* scratch = static_cast<char*>(thread_scratch(thread, bytes));
    float* sink = to + image * x_size;
    float* result = dx.accumulates() ? reinterpret_cast<float*>(scratch + plan->scratchpad_bytes) : sink;
    const void* operands[] = {result, weights, from + image * y_size, scratch};
    const dnnl_status_t status = run(plan->kernel(shard), thread, operands);
    if (dx.accumulates()) {
      elementwise_kernels<float>(isa_).scale(result, 1.f, sink, plan->count(shard) * x_size, true);
    }
    return status;
  });
}

void OneDnn::conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                                    const Sink& dw) {
  Plan* plan = nullptr;
  if (dw && x.type == DType::f32 && dw.to.size() > 0 && dy.size() > 0) {
    Problem problem = problem_of(Direction::weight_gradient, x, dw.to, dy, spec);
    problem.accumulate = dw.accumulates();
    plan = plan_for(problem);
  }
  if (!plan) return Portable::conv2d_weight_gradient(x, dy, spec, dw);
  const int64_t x_size = x.size() / plan->images, y_size = dy.size() / plan->images;
  const float *in = x.as<float>(), *d = dy.as<float>();
  const size_t sums_bytes = size_t(plan->shards) * plan->weights_bytes;
  char* scratch = static_cast<char*>(shared_scratch(sums_bytes + plan->reorder_scratchpad_bytes));
  const auto sum_of = [&](int64_t shard) {
    return reinterpret_cast<float*>(scratch + size_t(shard) * plan->weights_bytes);
  };
  reserve_thread_scratch(plan->scratchpad_bytes);
  run("conv2d_weight_gradient", plan->shards, [&](int64_t shard, int thread) {
    const int64_t image = plan->first(shard);
    const void* operands[] = {in + image * x_size, sum_of(shard), d + image * y_size,
                              thread_scratch(thread, plan->scratchpad_bytes)};
    return run(plan->kernel(shard), thread, operands);
  });
  constexpr int64_t part = 2048;  // small enough to give all threads some of them
  if (plan->shards > 1)
    for_ranges(plan->weights_count, part, [&](int64_t first, int64_t last) {
      for (int64_t shard = 1; shard < plan->shards; ++shard) {
        elementwise_kernels<float>(isa_).scale(sum_of(shard) + first, 1.f, sum_of(0) + first, last - first,
                                               true);
      }
    });
  const void* operands[] = {scratch, dw.to.data, scratch + sums_bytes};
  run("conv2d_weight_gradient", 1, [&](int64_t, int thread) { return run(plan->reorder, thread, operands); });
}

// In parts of the longer side of c, sized by the problem only.
void OneDnn::matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
                    const Sink& c) {
  const int64_t rows = c.to.shape[0], columns = c.to.shape[1], inner = a.shape[transpose_a ? 0 : 1];
  if (a.type != DType::f32 || rows * columns * inner == 0) {
    return Portable::matmul(a, transpose_a, b, transpose_b, bias, c);
  }
  constexpr int64_t most = 8, least_work = 1 << 20, step = 16;
  const bool by_rows = rows >= columns;
  const int64_t length = by_rows ? rows : columns;
  const int64_t parts = std::clamp<int64_t>(rows * columns * inner / least_work, 1, most);
  const int64_t part = (length + parts * step - 1) / (parts * step) * step;
  const float *p = a.as<float>(), *q = b.as<float>(), *offset = bias ? bias.as<float>() : nullptr;
  float* to = c.to.as<float>();
  run("matmul", (length + part - 1) / part, [&](int64_t task, int) {
    const int64_t row = by_rows ? task * part : 0, column = by_rows ? 0 : task * part;
    const int64_t m = by_rows ? std::min(part, rows - row) : rows;
    const int64_t n = by_rows ? columns : std::min(part, columns - column);
    float* result = to + row * columns + column;
    if (offset) {
      for (int64_t r = 0; r < m; ++r) {
        elementwise_kernels<float>(isa_).scale(offset + column, 1.f, result + r * columns, n,
                                               c.accumulates());
      }
    }
    return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, inner, 1.f,
                      p + (transpose_a ? row : row * inner), transpose_a ? rows : inner,
                      q + (transpose_b ? column * inner : column), transpose_b ? inner : columns,
                      offset || c.accumulates() ? 1.f : 0.f, result, columns);
  });
}

}  // namespace

std::unique_ptr<Backend> make_onednn(int threads) {
  const OpenMp openmp;
  if (DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP && !(openmp.max_threads && openmp.set_threads))
    return nullptr;
  // oneDNN follows our choice of instruction set; it takes the limit once, before it is first used.
  if (best_isa() == Isa::avx2) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
  if (best_isa() == Isa::baseline) dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
  return std::make_unique<OneDnn>(threads, openmp);
}

}  // namespace retort
