#include "engine/backend.h"

namespace retort {

void Backend::cast(const Tensor& from, const Sink& to) {
  fail(Fault::internal, name(), ": cannot convert ", from.type, " to ", to.to.type);
}
void Backend::update_loss_scale(const Tensor&, const Tensor&, const Tensor&) {
  fail(Fault::internal, name(), ": has no loss scaling");
}
void Backend::scaled_sgd(const Tensor&, const Tensor&, const Tensor&, const Tensor&, double, double,
                         const Tensor&) {
  fail(Fault::internal, name(), ": has no loss scaling");
}
void Backend::mixed_sgd(const MixedWeights&, const Tensor&, double, double, const Tensor&) {
  fail(Fault::internal, name(), ": has no weights in 16 bits");
}
void Backend::linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) {
  if (dw) matmul(dy, true, x, false, {}, dw);
  if (dbias) reduce_sum(dy, 1.0, dbias);
}
void Backend::add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) {
  const int64_t columns = x.shape.last();
  for (int64_t k = 0; k < x.shape.rows(); ++k)
    add_to_total(x.part(k * columns, {columns}), factors[k], totals.part(k, {1}));
}
void Backend::begin_capture() {
  fail(Fault::internal, name(), ": cannot capture a step");
}
int Backend::end_capture() {
  fail(Fault::internal, name(), ": cannot capture a step");
}
void Backend::replay(int) {
  fail(Fault::internal, name(), ": has no captured step to replay");
}
void Backend::release_graph(int) {}

void check_matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
                  const Tensor& c) {
  const Shape &sa = a.shape, &sb = b.shape, &sc = c.shape;
  check(sa.rank() == 2 && sb.rank() == 2 && sc.rank() == 2 && sa[transpose_a ? 1 : 0] == sc[0] &&
            sb[transpose_b ? 0 : 1] == sc[1] && sa[transpose_a ? 0 : 1] == sb[transpose_b ? 1 : 0] &&
            (!bias || bias.size() == sc[1]),
        "matmul: a ", sa, transpose_a ? " transposed" : "", ", b ", sb, transpose_b ? " transposed" : "",
        ", c ", sc, bias ? " and the bias" : "", " do not belong together");
}

}  // namespace retort
