// Element-wise ops, sums, matrices, optimizer: shapes checked, kernels called.
#include "engine/cuda/cuda_backend.h"
#include "engine/kernels/loss_scale.h"

namespace retort {

namespace {

BroadcastOperand operand_of(const Tensor& operand, const Shape& result) {
  const int64_t columns = result.last();
  if (operand.size() == result.size()) return {operand.data, columns, 1};
  if (operand.size() == 1) return {operand.data, 0, 0};
  if (operand.size() == result.rows() && operand.shape.last() == 1) return {operand.data, 1, 0};
  check(operand.size() == columns, "broadcast: ", operand.shape, " does not follow ", result);
  return {operand.data, 0, 1};
}

void check_size(const char* operation, const Tensor& a, const Tensor& b) {
  check(a.size() == b.size() && a.type == b.type, operation, ": ", a.shape, " ", a.type, " and ", b.shape,
        " ", b.type);
}

}  // namespace

void Cuda::matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
                  const Sink& c) {
  if (!c) return;
  check_matmul(a, transpose_a, b, transpose_b, bias, c.to);
  const Shape &sa = a.shape, &sc = c.to.shape;
  if (sc.size() == 0) return;
  float* to = c.to.as<float>();
  if (is_small_product(sc[0], sc[1], sa[transpose_a ? 0 : 1])) {
    check_cuda(small_product_kernel(stream(), {.a = a.as<float>(),
                                               .b = b.as<float>(),
                                               .bias = bias ? bias.as<float>() : nullptr,
                                               .c = to,
                                               .sums = nullptr,
                                               .rows = sc[0],
                                               .columns = sc[1],
                                               .inner = sa[transpose_a ? 0 : 1],
                                               .transpose_a = transpose_a,
                                               .transpose_b = transpose_b,
                                               .accumulate = c.accumulates(),
                                               .sums_accumulate = false}),
               "matmul to ", sc);
    return;
  }
  if (bias)
    check_cuda(spread_bias_kernel(stream(), bias.as<float>(), to, sc[0], sc[1], c.accumulates()), "bias of ",
               sc);
  const int64_t inner = sa[transpose_a ? 0 : 1];
  if (inner == 0) {  // cuBLAS takes no leading dimension of 0
    if (!bias && !c.accumulates()) fill(c.to, 0);
    return;
  }
  lane_->cublas.product(a.as<float>(), transpose_a, b.as<float>(), transpose_b, to, sc[0], sc[1], inner,
                        bias || c.accumulates() ? 1.0f : 0.0f);
}

void Cuda::linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) {
  if (!dw || !is_small_product(dw.to.shape[0], dw.to.shape[1], dy.shape[0])) {
    if (dw) matmul(dy, true, x, false, {}, dw);
    if (dbias) reduce_sum(dy, 1.0, dbias);
    return;
  }
  check_matmul(dy, true, x, false, {}, dw.to);
  check(!dbias || dbias.to.size() == dw.to.shape[0], "linear_weight_gradient: dbias ", dbias.to.shape,
        " for dw ", dw.to.shape);
  check_cuda(small_product_kernel(stream(), {.a = dy.as<float>(),
                                             .b = x.as<float>(),
                                             .bias = nullptr,
                                             .c = dw.to.as<float>(),
                                             .sums = dbias ? dbias.to.as<float>() : nullptr,
                                             .rows = dw.to.shape[0],
                                             .columns = dw.to.shape[1],
                                             .inner = dy.shape[0],
                                             .transpose_a = true,
                                             .transpose_b = false,
                                             .accumulate = dw.accumulates(),
                                             .sums_accumulate = dbias.accumulates()}),
             "linear_weight_gradient to ", dw.to.shape);
}

void Cuda::transpose(const Tensor& x, const Sink& y) {
  if (!y) return;
  const Shape &from = x.shape, &to = y.to.shape;
  check(from.rank() == 2 && to.rank() == 2 && from[0] == to[1] && from[1] == to[0] && x.type == y.to.type,
        "transpose: from ", from, " ", x.type, " to ", to, " ", y.to.type);
  check_cuda(transpose_kernel(stream(), x.type, x.data, from[0], from[1], y.to.data, y.accumulates()),
             "transpose of ", from, " ", x.type);
}

void Cuda::unary(const UnaryOp& op, const Tensor& x, const Sink& y) {
  check_size("unary", x, y.to);
  check_cuda(unary_kernel(stream(), x.type, op, x.data, y.to.data, x.size(), y.accumulates()), "unary of ",
             x.shape, " ", x.type);
}

void Cuda::unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                          const Sink& dx) {
  check_size("unary_gradient", x, y);
  check_size("unary_gradient", x, dy);
  check_size("unary_gradient", x, dx.to);
  check_cuda(unary_gradient_kernel(stream(), x.type, op, x.data, y.data, dy.data, dx.to.data, x.size(),
                                   dx.accumulates()),
             "unary_gradient of ", x.shape, " ", x.type);
}

void Cuda::binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) {
  const Shape& shape = y.to.shape;
  check(a.type == y.to.type && b.type == y.to.type, "binary: ", a.type, " and ", b.type, " to ", y.to.type);
  check_cuda(binary_kernel(stream(), a.type, op, operand_of(a, shape), operand_of(b, shape), y.to.data,
                           shape.rows(), shape.last(), y.accumulates()),
             "binary of ", a.shape, " and ", b.shape, " ", a.type);
}

void Cuda::reduce_sum(const Tensor& x, double scale, const Sink& to) {
  const int64_t rows = x.shape.rows(), columns = x.shape.last();
  const bool add = to.accumulates();
  cudaError_t status;
  if (to.to.size() == x.size() && to.to.type == x.type) {
    status = unary_kernel(stream(), x.type, {Unary::affine, scale, 0}, x.data, to.to.data, x.size(), add);
  } else if (to.to.size() == 1) {
    status = sum_all_kernel(stream(), x.type, x.data, scale, to.to.data, to.to.type, x.size(), add,
                            scratch(sum_all_scratch(x.size())));
  } else if (to.to.size() == rows && to.to.shape.last() == 1) {
    check(x.type == to.to.type, "reduce_sum: ", x.type, " to ", to.to.type);
    status = sum_columns_kernel(stream(), x.type, x.data, scale, to.to.data, rows, columns, add);
  } else {
    check(to.to.size() == columns, "reduce_sum: ", to.to.shape, " does not follow ", x.shape);
    status = sum_rows_kernel(stream(), x.type, x.data, scale, to.to.data, to.to.type, rows, columns, add,
                             scratch(sum_rows_scratch(rows, columns)));
  }
  check_cuda(status, "reduce_sum of ", x.shape, " ", x.type, " to ", to.to.shape);
}

void Cuda::scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) {
  check_size("scale_by", x, y.to);
  check_cuda(scale_kernel(stream(), x.type, x.data, scalar.as<double>(), factor, y.to.data, x.size(),
                          y.accumulates()),
             "scale_by of ", x.shape, " ", x.type);
}

void Cuda::add_to_total(const Tensor& x, double factor, const Tensor& total) {
  check_cuda(sum_all_kernel(stream(), x.type, x.data, factor, total.as<double>(), DType::f64, x.size(), true,
                            scratch(sum_all_scratch(x.size()))),
             "add_to_total of ", x.shape, " ", x.type);
}

void Cuda::add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) {
  const int64_t rows = x.shape.rows();
  check(rows <= most_totals && totals.size() >= rows, "add_rows_to_totals: ", x.shape, " to ", totals.shape);
  check_cuda(
      rows_to_totals_kernel(stream(), x.as<float>(), rows, x.shape.last(), factors, totals.as<double>()),
      "add_rows_to_totals of ", x.shape);
}

void Cuda::copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                        int64_t count) {
  const int64_t from_columns = from.shape.last(), to_columns = to.to.shape.last();
  check(from.shape.rows() == to.to.shape.rows() && from_first >= 0 && from_first + count <= from_columns &&
            to_first >= 0 && to_first + count <= to_columns && from.type == to.to.type,
        "copy_columns: ", count, " columns from ", from_first, " of ", from.shape, " ", from.type, " to ",
        to_first, " of ", to.to.shape, " ", to.to.type);
  const size_t element = size_of(from.type);
  check_cuda(copy_columns_kernel(stream(), from.type,
                                 static_cast<const char*>(from.data) + size_t(from_first) * element,
                                 from_columns, static_cast<char*>(to.to.data) + size_t(to_first) * element,
                                 to_columns, from.shape.rows(), count, to.accumulates()),
             "copy_columns of ", from.shape, " ", from.type);
}

void Cuda::sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
               double weight_decay) {
  check(g.size() == w.size() && v.size() == w.size(), "sgd: weights ", w.shape, ", gradients ", g.shape,
        ", momenta ", v.shape);
  check_cuda(sgd_kernel(stream(), w.as<float>(), g.as<float>(), v.as<float>(), lr.as<double>(),
                        float(momentum), float(weight_decay), nullptr, w.size()),
             "sgd of ", w.shape);
}

void Cuda::cast(const Tensor& from, const Sink& to) {
  check(from.size() == to.to.size(), "cast: ", from.shape, " to ", to.to.shape);
  check_cuda(
      cast_kernel(stream(), from.type, from.data, to.to.type, to.to.data, from.size(), to.accumulates()),
      "cast of ", from.shape, " ", from.type, " to ", to.to.type);
}

void Cuda::update_loss_scale(const Tensor& gradients, const Tensor& rounded, const Tensor& state) {
  check(state.size() == loss_scale_numbers, "update_loss_scale: the state has shape ", state.shape);
  check_cuda(update_loss_scale_kernel(stream(), gradients.as<float>(), gradients.size(), rounded.type,
                                      rounded.data, rounded ? rounded.size() : 0, state.as<double>()),
             "update_loss_scale from ", gradients.shape);
}

void Cuda::mixed_sgd(const MixedWeights& m, const Tensor& lr, double momentum, double weight_decay,
                     const Tensor& state) {
  check(m.v.size() == m.w.size() && m.narrow <= m.w.size() && m.g.size() == m.w.size() - m.narrow &&
            m.rounded.size() == m.place(m.narrow) && m.rounded_g.size() == m.rounded.size() &&
            m.rounded.type == m.rounded_g.type,
        "mixed_sgd: weights ", m.w.shape, ", ", m.narrow, " of them in 16 bits, gradients ", m.g.shape,
        " and ", m.rounded_g.shape, ", momenta ", m.v.shape);
  check_cuda(mixed_sgd_kernel(stream(), m, lr.as<double>(), float(momentum), float(weight_decay),
                              state ? state.as<double>() : nullptr),
             "mixed_sgd of ", m.w.shape);
}

void Cuda::scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                      double weight_decay, const Tensor& state) {
  check(g.size() == w.size() && v.size() == w.size(), "scaled_sgd: weights ", w.shape, ", gradients ",
        g.shape, ", momenta ", v.shape);
  check_cuda(sgd_kernel(stream(), w.as<float>(), g.as<float>(), v.as<float>(), lr.as<double>(),
                        float(momentum), float(weight_decay), state.as<double>(), w.size()),
             "scaled_sgd of ", w.shape);
}

}  // namespace retort
