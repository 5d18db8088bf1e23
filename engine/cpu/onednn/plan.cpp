#include "engine/cpu/onednn/plan.h"

#include <algorithm>
#include <string>
#include <tuple>

namespace retort {

namespace {

using dnnl::memory;

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

// A shard is worth some 20 us at least, to be worth the 2 us that a primitive takes to start. More shards
// than threads keep all busy to the end. In the gradient of weights a shard costs a pass over a copy of the
// weights.
int64_t shards_of(const ConvProblem& p) {
  constexpr int64_t most = 32, most_sums = 8, least_work = 1 << 20, least_pixels = 512;
  const int64_t work = p.products() + 8 * (p.input_size() + p.output_size());
  int64_t shards = p.images * work / least_work;
  if (p.pass == ConvPass::weight_gradient) {
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
memory::desc weights_desc(const ConvProblem& p, bool any) {
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
  OneDnnKernel::Operands operands;  // input, weights, output, scratchpad, then the bias if there is one
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
Described describe_shard(const ConvProblem& p, int64_t images, const memory::desc& weights,
                         const dnnl::engine& engine) {
  using namespace dnnl;
  const memory::desc x = plain({images, p.channels, p.height, p.width}, memory::format_tag::nhwc);
  const memory::desc y = plain({images, p.outputs, p.out_height, p.out_width}, memory::format_tag::nhwc);
  const memory::desc bias = p.bias ? plain({p.outputs}, memory::format_tag::a) : memory::desc();
  const memory::dims strides{p.stride, p.stride}, pad{p.pad, p.pad};
  const algorithm direct = algorithm::convolution_direct;
  post_ops post;
  if (p.add) post.append_sum(1.f);
  primitive_attr attr = user_memory();
  attr.set_post_ops(post);

  // A gradient is described with the forward operation as a hint.
  const auto forward = describe<convolution_forward>(
      engine, attr,
      std::tuple(prop_kind::forward_training, direct, x,
                 p.pass == ConvPass::forward ? weights : weights_desc(p, true), bias, y, strides, pad, pad));
  if (!forward) return {};
  const std::tuple arguments(direct, x, weights, y, strides, pad, pad);
  switch (p.pass) {
    case ConvPass::input_gradient:
      return take<convolution_backward_data>(
          describe<convolution_backward_data>(engine, attr, arguments, forward), DNNL_ARG_DIFF_SRC,
          DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST);
    case ConvPass::weight_gradient:
      return take<convolution_backward_weights>(
          describe<convolution_backward_weights>(engine, attr, arguments, forward), DNNL_ARG_SRC,
          DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST);
    case ConvPass::forward:
      break;
  }
  Described result = take<convolution_forward>(forward, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST);
  if (p.bias) result.operands.emplace_back(DNNL_ARG_BIAS, bias);
  return result;
}

}  // namespace

OneDnnPlan make_onednn_plan(const ConvProblem& p, const dnnl::engine& engine, int threads) {
  OneDnnPlan plan;
  plan.images = p.images;
  plan.shards = shards_of(p);
  memory::desc weights = weights_desc(p, true);
  size_t scratchpad = 0;
  for (int64_t extra = 0; extra <= (p.images % plan.shards ? 1 : 0); ++extra) {
    const Described shard = describe_shard(p, p.images / plan.shards + extra, weights, engine);
    if (!shard.primitive) return plan;
    weights = shard.weights;
    scratchpad = std::max(scratchpad, shard.scratchpad.get_size());
    plan.kernels[extra] = OneDnnKernel(shard.primitive, shard.operands, engine, threads);
  }
  plan.weights_count = int64_t(weights.get_size() / sizeof(float));
  plan.weights_bytes = round_up(weights.get_size());
  plan.scratchpad_bytes = round_up(scratchpad);

  const bool backwards = p.pass == ConvPass::weight_gradient;
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
  plan.reorder = OneDnnKernel(
      dnnl::reorder(reorder),
      {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, reorder.scratchpad_desc()}}, engine,
      1);
  plan.available = true;
  return plan;
}

}  // namespace retort
