#include "tests/engine/op_cases.h"

#include "engine/random.h"
#include "layers/module.h"
#include "tests/distill/methods/distill_op_cases.h"
#include "engine/ops/region_ops.h"

namespace retort {

namespace {

// A tensor of this pass with values by formula; for statistics and indices.
Var filled(const Pass& pass, const Shape& shape, DType type, const std::function<double(int64_t)>& value) {
  Var var = pass.make(shape, type);
  std::vector<double> values;
  for (int64_t i = 0; i < shape.size(); ++i) values.push_back(value(i));
  write_values(pass.device, var, values);
  return var;
}

Var indices(const Pass& pass, const Shape& shape, int below) {
  Var var = pass.make(shape, DType::i32);
  std::vector<int32_t> values;
  for (int64_t i = 0; i < shape.size(); ++i) values.push_back(int32_t((i * 7 + i / 3) % below));
  pass.backend().upload(var, values.data());
  return var;
}

Var integers(const Pass& pass, const std::vector<int32_t>& values) {
  Var var = pass.make({int64_t(values.size())}, DType::i32);
  pass.backend().upload(var, values.data());
  return var;
}

// Two images, two levels; boxes within a bin, over the border, across the picture, of no height, outside.
OpCase roi_align_case() {
  OpCase c{"roi align", {{{2, 6, 5, 3}}, {{2, 3, 3, 3}}}, nullptr};
  c.op = [](const Pass& pass, const std::vector<Var>& in) {
    const std::vector<double> corners = {3.1, 2.2,  14.3, 20.4, -9.5, -7.25, 11.6, 9.3,  0.4, 0.3, 19.7, 23.6,
                                         5.5, 5.25, 6.125, 6.5, 2,    4.5,   17,   4.5,  30,  31,  40,   44};
    const Var boxes = filled(pass, {6, 4}, in[0].type(), [&](int64_t i) { return corners[size_t(i)]; });
    return roi_align(pass, in, {0.25, 0.125}, boxes, integers(pass, {0, 1, 1, 0, 0, 1}),
                     integers(pass, {0, 0, 1, 1, 0, 0}), 3);
  };
  return c;
}

OpCase conv_case(const std::string& name, const Shape& x, const Shape& w, Conv2dSpec spec,
                 bool bias = false) {
  OpCase c{name, {{x}, {w}}, nullptr};
  if (bias) c.inputs.push_back({{w[0]}});
  c.op = [spec](const Pass& pass, const std::vector<Var>& in) {
    return conv2d(pass, in[0], in[1], in.size() > 2 ? in[2] : Var(), spec);
  };
  return c;
}

OpCase batch_norm_case(const std::string& name, const Shape& x, bool training, bool relu, bool add) {
  const int64_t channels = x.last();
  OpCase c{name,
           {{x},
            {{channels}, OpInput::positive},
            {{channels}},
            {{channels}, OpInput::constant},            // running mean and
            {{channels}, OpInput::positive_constant}},  // variance, changed in place by training
           nullptr,
           1e-4};
  if (add) c.inputs.push_back({x});
  c.op = [=](const Pass& pass, const std::vector<Var>& in) {
    Pass own = pass;
    own.training = training;
    return batch_norm(own, in[0], in[1], in[2], in[3], in[4], in.size() > 5 ? in[5] : Var(), {.relu = relu});
  };
  return c;
}

OpCase simple(const std::string& name, std::vector<OpInput> inputs,
              std::function<Var(const Pass&, const std::vector<Var>&)> op) {
  return {name, std::move(inputs), std::move(op)};
}

template <Var (*op)(const Pass&, const Var&)>
OpCase unary_case(const std::string& name, OpInput::Values values = OpInput::anything) {
  return simple(name, {{{3, 37}, values}},
                [](const Pass& p, const std::vector<Var>& in) { return op(p, in[0]); });
}

template <Var (*op)(const Pass&, const Var&, const Var&)>
void add_binary_cases(std::vector<OpCase>& all, const std::string& name) {
  const std::pair<const char*, Shape> others[] = {
      {"same", {5, 17}}, {"one", {1}}, {"per row", {5, 1}}, {"per column", {1, 17}}, {"vector", {17}}};
  for (const auto& [kind, shape] : others) {
    const OpInput full{{5, 17}, OpInput::positive}, other{shape, OpInput::positive};
    auto call = [](const Pass& p, const std::vector<Var>& in) { return op(p, in[0], in[1]); };
    all.push_back(simple(name + " " + kind, {full, other}, call));
    all.push_back(simple(name + " " + kind + " first", {other, full}, call));
  }
  all.push_back(simple(name + " of itself", {{{5, 17}, OpInput::positive}},
                       [](const Pass& p, const std::vector<Var>& in) { return op(p, in[0], in[0]); }));
}

std::vector<OpCase> make_cases() {
  std::vector<OpCase> all = {
      conv_case("conv 3x3", {2, 8, 8, 16}, {16, 3, 3, 16}, {.pad = 1}),
      conv_case("conv 3x3 of 3 channels", {2, 9, 7, 3}, {16, 3, 3, 3}, {.pad = 1}),
      conv_case("conv 3x3 /2", {2, 8, 8, 16}, {32, 3, 3, 16}, {.stride = 2, .pad = 1}),
      conv_case("conv 3x3 /2 odd side", {3, 7, 9, 5}, {6, 3, 3, 5}, {.stride = 2, .pad = 1}),
      conv_case("conv 1x1", {2, 5, 5, 24}, {17, 1, 1, 24}, {}),
      conv_case("conv 1x1 /2", {2, 8, 8, 16}, {32, 1, 1, 16}, {.stride = 2}),
      conv_case("conv bias", {2, 6, 6, 4}, {7, 3, 3, 4}, {.pad = 1}, true),
      simple("conv add", {{{2, 6, 6, 4}}, {{7, 3, 3, 4}}, {{2, 6, 6, 7}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return conv2d(p, in[0], in[1], {}, {.pad = 1}, in[2]);
             }),
      conv_case("conv 5x5 without padding", {1, 9, 8, 2}, {3, 5, 5, 2}, {}),
      conv_case("conv 7x7 /2", {1, 15, 15, 3}, {8, 7, 7, 3}, {.stride = 2, .pad = 3}),
      conv_case("conv groups", {2, 6, 6, 12}, {18, 3, 3, 4}, {.pad = 1, .groups = 3}),
      conv_case("conv depthwise", {2, 7, 7, 20}, {20, 3, 3, 1}, {.pad = 1, .groups = 20}),
      conv_case("conv depthwise /2", {2, 7, 7, 20}, {20, 3, 3, 1}, {.stride = 2, .pad = 1, .groups = 20}),
      simple("frozen conv add relu", {{{2, 6, 5, 4}}, {{7, 3, 3, 4}}, {{7}, OpInput::positive_constant},
                                      {{7}, OpInput::constant}, {{2, 3, 3, 7}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return frozen_conv2d(p, in[0], in[1], in[2], in[3], {.stride = 2, .pad = 1}, true, in[4]);
             }),
      simple("frozen conv", {{{2, 6, 5, 4}}, {{8, 1, 1, 4}}, {{8}, OpInput::positive_constant}, {{8}, OpInput::constant}},
             [](const Pass& p, const std::vector<Var>& in) {
               return frozen_conv2d(p, in[0], in[1], in[2], in[3], {});
             }),
      roi_align_case(),
      simple("transposed conv 4x4 /2", {{{2, 4, 3, 6}}, {{6, 4, 4, 5}}, {{5}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return conv2d_transposed(p, in[0], in[1], in[2], {.stride = 2, .pad = 1});
             }),
      conv_case("conv 1x1 groups", {2, 4, 4, 12}, {24, 1, 1, 4}, {.groups = 3}),
      batch_norm_case("batch norm", {3, 4, 5, 16}, true, false, false),
      batch_norm_case("batch norm relu", {3, 4, 5, 16}, true, true, false),
      batch_norm_case("batch norm add", {3, 4, 5, 16}, true, false, true),
      batch_norm_case("batch norm add relu", {3, 4, 5, 16}, true, true, true),
      batch_norm_case("batch norm add relu 70 channels", {2, 3, 3, 70}, true, true, true),
      batch_norm_case("batch norm 128 channels", {2, 3, 3, 128}, true, true, false),
      batch_norm_case("batch norm of a matrix", {9, 5}, true, false, false),
      batch_norm_case("batch norm eval", {3, 4, 5, 16}, false, false, false),
      batch_norm_case("batch norm eval add relu", {3, 4, 5, 16}, false, true, true),
      simple("batch norm of a value and itself", {{{3, 4, 5, 8}}, {{8}, OpInput::positive}, {{8}}},
             [](const Pass& pass, const std::vector<Var>& in) {
               const Var zero = filled(pass, {8}, in[0].type(), [](int64_t) { return 0.0; });
               const Var one = filled(pass, {8}, in[0].type(), [](int64_t) { return 1.0; });
               Pass own = pass;
               own.training = true;
               return batch_norm(own, in[0], in[1], in[2], zero, one, in[0], {.relu = true});
             }),
      simple("max pool 2", {{{2, 6, 8, 5}}},
             [](const Pass& p, const std::vector<Var>& in) { return pool2d(p, in[0], {}); }),
      simple("max pool 3 /2 pad 1", {{{2, 7, 7, 5}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return pool2d(p, in[0], {Pool2dSpec::maximum, 3, 2, 1});
             }),
      simple("average pool 3 /2 pad 1", {{{2, 7, 7, 5}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return pool2d(p, in[0], {Pool2dSpec::average, 3, 2, 1});
             }),
      simple("global average pool", {{{3, 5, 4, 19}}},
             [](const Pass& p, const std::vector<Var>& in) { return global_average_pool(p, in[0]); }),
      simple("adaptive average pool", {{{2, 7, 6, 5}}},
             [](const Pass& p, const std::vector<Var>& in) { return adaptive_average_pool(p, in[0], 4, 3); }),
      simple("adaptive average pool to more places", {{{1, 3, 2, 4}}},
             [](const Pass& p, const std::vector<Var>& in) { return adaptive_average_pool(p, in[0], 4, 4); }),
      simple("nearest resize up", {{{2, 3, 4, 5}}},
             [](const Pass& p, const std::vector<Var>& in) { return resize_nearest(p, in[0], 7, 8); }),
      simple("nearest resize down", {{{2, 7, 8, 3}}},
             [](const Pass& p, const std::vector<Var>& in) { return resize_nearest(p, in[0], 3, 2); }),
      simple("normalised rows", {{{4, 19}}},
             [](const Pass& p, const std::vector<Var>& in) { return normalize_rows(p, in[0]); }),
      simple("normalised rows, shorter ones divided by 3", {{{4, 19}}},
             [](const Pass& p, const std::vector<Var>& in) { return normalize_rows(p, in[0], 3); }),
      simple("batched gram matrix", {{{3, 4, 21}}},
             [](const Pass& p, const std::vector<Var>& in) { return batched_gram(p, in[0]); }),
      simple("differences of pairs", {{{5, 19}}},
             [](const Pass& p, const std::vector<Var>& in) { return pair_differences(p, in[0]); }),
      simple("linear", {{{7, 33}}, {{10, 33}}, {{10}}},
             [](const Pass& p, const std::vector<Var>& in) { return linear(p, in[0], in[1], in[2]); }),
      simple("linear without bias", {{{7, 33}}, {{10, 33}}},
             [](const Pass& p, const std::vector<Var>& in) { return linear(p, in[0], in[1], {}); }),
      simple("matmul", {{{5, 9}}, {{9, 7}}},
             [](const Pass& p, const std::vector<Var>& in) { return matmul(p, in[0], in[1]); }),
      simple("matmul A'B", {{{9, 5}}, {{9, 7}}},
             [](const Pass& p, const std::vector<Var>& in) { return matmul(p, in[0], in[1], true, false); }),
      simple("matmul AB'", {{{5, 9}}, {{7, 9}}},
             [](const Pass& p, const std::vector<Var>& in) { return matmul(p, in[0], in[1], false, true); }),
      simple("matmul A'B'", {{{9, 5}}, {{7, 9}}},
             [](const Pass& p, const std::vector<Var>& in) { return matmul(p, in[0], in[1], true, true); }),
      simple("gram matrix", {{{6, 4}}},
             [](const Pass& p, const std::vector<Var>& in) { return matmul(p, in[0], in[0], true, false); }),
      simple("transpose", {{{5, 9}}},
             [](const Pass& p, const std::vector<Var>& in) { return transpose(p, in[0]); }),
      unary_case<relu>("relu"),
      simple("relu6", {{{3, 37}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return relu6(p, affine(p, in[0], 9));
             }),
      unary_case<exp>("exp"),
      unary_case<log>("log", OpInput::positive),
      unary_case<sqrt>("sqrt", OpInput::positive),
      unary_case<square>("square"),
      unary_case<abs>("abs"),
      unary_case<sigmoid>("sigmoid", OpInput::logits),
      unary_case<softplus>("softplus", OpInput::logits),
      unary_case<reciprocal>("reciprocal", OpInput::positive),
      unary_case<smooth_l1>("smooth l1", OpInput::logits),
      simple("at least", {{{3, 37}}},
             [](const Pass& p, const std::vector<Var>& in) { return at_least(p, in[0], 0.03); }),
      simple("sum of all", {{{5, 7}}},
             [](const Pass& p, const std::vector<Var>& in) { return sum_all(p, in[0], 0.25); }),
      simple("affine", {{{3, 37}}},
             [](const Pass& p, const std::vector<Var>& in) { return affine(p, in[0], -1.75, 0.5); }),
      simple("scale by a device scalar", {{{3, 37}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return scale_by(p, in[0], p.device.scalar(0.625), 3.0);
             }),
      simple("mean of all", {{{5, 7}}},
             [](const Pass& p, const std::vector<Var>& in) { return mean_all(p, in[0]); }),
      simple("sum of columns", {{{5, 7}}},
             [](const Pass& p, const std::vector<Var>& in) { return sum_columns(p, in[0], 0.5); }),
      simple("sum of rows", {{{5, 7}}},
             [](const Pass& p, const std::vector<Var>& in) { return sum_rows(p, in[0], 0.5); }),
      simple("sum of rows of a square", {{{6, 6}}},
             [](const Pass& p, const std::vector<Var>& in) { return sum_rows(p, in[0]); }),
      simple("sum of columns of a square", {{{6, 6}}},
             [](const Pass& p, const std::vector<Var>& in) { return sum_columns(p, in[0]); }),
      simple("softmax", {{{5, 23}, OpInput::logits}},
             [](const Pass& p, const std::vector<Var>& in) { return softmax(p, in[0], 2.5); }),
      simple("log softmax", {{{5, 23}, OpInput::logits}},
             [](const Pass& p, const std::vector<Var>& in) { return log_softmax(p, in[0], 2.5); }),
      simple("cross entropy", {{{6, 23}, OpInput::logits}},
             [](const Pass& p, const std::vector<Var>& in) {
               return cross_entropy(p, in[0], indices(p, {6}, 23));
             }),
      simple("kl divergence", {{{6, 23}, OpInput::logits}, {{6, 23}, OpInput::constant}},
             [](const Pass& p, const std::vector<Var>& in) {
               return kl_divergence(p, in[0], in[1], 4.0, 16.0);
             }),
      simple("reshape", {{{4, 6}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return reshape(p, in[0], {2, 3, 4});
             }),
      simple("slice of columns", {{{2, 3, 3, 11}}},
             [](const Pass& p, const std::vector<Var>& in) { return slice_columns(p, in[0], 3, 5); }),
      simple("concat of columns", {{{2, 3, 3, 4}}, {{2, 3, 3, 1}}, {{2, 3, 3, 6}}},
             [](const Pass& p, const std::vector<Var>& in) { return concat_columns(p, in); }),
      simple("pad columns", {{{2, 3, 3, 4}}},
             [](const Pass& p, const std::vector<Var>& in) { return pad_columns(p, in[0], 3, 9); }),
      simple("gather of columns", {{{4, 9}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return gather_columns(p, in[0], indices(p, {4, 6}, 9));
             }),
      simple("gather of rows", {{{3, 3, 5}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return gather_rows(p, in[0], integers(p, {7, 0, 3, 8}));
             }),
      simple("gather of single numbers", {{{12, 1}}},
             [](const Pass& p, const std::vector<Var>& in) {
               return gather_rows(p, in[0], integers(p, {11, 4, 5}));
             }),
      simple("channel shuffle 2", {{{2, 3, 3, 58}}},
             [](const Pass& p, const std::vector<Var>& in) { return channel_shuffle(p, in[0], 2); }),
      simple("channel shuffle 3", {{{2, 3, 3, 12}}},
             [](const Pass& p, const std::vector<Var>& in) { return channel_shuffle(p, in[0], 3); }),
  };
  add_binary_cases<add>(all, "add");
  add_binary_cases<sub>(all, "sub");
  add_binary_cases<mul>(all, "mul");
  add_binary_cases<div>(all, "div");
  add_distillation_cases(all);
  return all;
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> all = make_cases();
  return all;
}

std::vector<std::vector<double>> op_input_values(const OpCase& op_case) {
  std::vector<std::vector<double>> values;
  uint32_t stream = 0;
  for (const OpInput& input : op_case.inputs) {
    auto& own = values.emplace_back();
    for (int64_t i = 0; i < input.shape.size(); ++i) {
      const double u = double(random4(7, Purpose::weights, stream, uint32_t(i), 0).v[0]) / 4294967296.0;
      switch (input.values) {
        case OpInput::anything:
        case OpInput::constant:
          own.push_back(u < 0.5 ? -0.05 - 1.9 * u : 0.05 + 1.9 * (u - 0.5));
          break;
        case OpInput::positive:
        case OpInput::positive_constant:
          own.push_back(0.5 + u);
          break;
        case OpInput::logits:
          own.push_back(8 * u - 4);
          break;
      }
    }
    ++stream;
  }
  return values;
}

}  // namespace retort
