// Portable: element-wise ops, reductions, rows, optimizer.
#include <algorithm>
#include <cstring>

#include "engine/cpu/elementwise_kernels.h"
#include "engine/cpu/portable.h"
#include "engine/types.h"

namespace retort {

namespace {

constexpr int64_t part = 32768;  // elements of one task: 128 KiB in f32, an L2 cache holds several operands

Broadcast broadcast_of(const Tensor& operand, const Shape& result) {
  if (operand.shape == result || operand.size() == result.size()) return Broadcast::none;
  if (operand.size() == 1) return Broadcast::one;
  if (operand.size() == result.rows() && operand.shape.last() == 1) return Broadcast::per_row;
  check(operand.size() == result.last(), "broadcast: ", operand.shape, " does not follow ", result);
  return Broadcast::per_column;
}

}  // namespace

void Portable::fill(const Tensor& to, double value) {
  if (to.type == DType::i32) {
    int32_t* data = to.as<int32_t>();
    for (int64_t i = 0; i < to.size(); ++i) data[i] = int32_t(value);
    return;
  }
  if (is_16_bit(to.type)) {
    auto* data = static_cast<uint16_t*>(to.data);
    const uint16_t bits = bits16_of(to.type, float(value));
    for (int64_t i = 0; i < to.size(); ++i) data[i] = bits;
    return;
  }
  with_real_type(to.type, "fill", [&]<class T>() {
    T* data = to.as<T>();
    for_ranges(to.size(), part, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) data[i] = T(value);
    });
  });
}

void Portable::copy(const Tensor& from, const Sink& to) {
  check(from.type == to.to.type && from.size() == to.to.size(), "copy: ", from.shape, " ", from.type, " to ",
        to.to.shape, " ", to.to.type);
  if (to.accumulates()) return unary({Unary::affine}, from, to);
  const size_t element = size_of(from.type);
  for_ranges(from.size(), part, [&](int64_t first, int64_t last) {
    std::memcpy(static_cast<char*>(to.to.data) + size_t(first) * element,
                static_cast<const char*>(from.data) + size_t(first) * element,
                size_t(last - first) * element);
  });
}

void Portable::unary(const UnaryOp& op, const Tensor& x, const Sink& y) {
  with_real_type(x.type, "unary", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    const T* from = x.as<T>();
    T* to = y.to.as<T>();
    for_ranges(x.size(), part, [&](int64_t first, int64_t last) {
      kernels.unary(op, from + first, to + first, last - first, y.accumulates());
    });
  });
}

void Portable::unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                              const Sink& dx) {
  with_real_type(x.type, "unary_gradient", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    const T *in = x.as<T>(), *out = y.as<T>(), *d = dy.as<T>();
    T* to = dx.to.as<T>();
    for_ranges(x.size(), part, [&](int64_t first, int64_t last) {
      kernels.unary_gradient(op, in + first, out + first, d + first, to + first, last - first,
                             dx.accumulates());
    });
  });
}

void Portable::binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) {
  const Broadcast a_as = broadcast_of(a, y.to.shape), b_as = broadcast_of(b, y.to.shape);
  // Operands of the same shape are one long row, cut anywhere.
  const bool flat = a_as == Broadcast::none && b_as == Broadcast::none;
  const int64_t columns = flat ? 64 : std::max<int64_t>(y.to.shape.last(), 1);
  const int64_t whole = flat ? y.to.size() / columns : y.to.shape.rows();
  with_real_type(y.to.type, "binary", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    const T *p = a.as<T>(), *q = b.as<T>();
    T* to = y.to.as<T>();
    for_ranges(whole, std::max<int64_t>(part / columns, 1), [&](int64_t first, int64_t last) {
      kernels.binary(op, p, a_as, q, b_as, to, first, last, columns, y.accumulates());
    });
    if (flat) {
      const int64_t done = whole * columns, rest = y.to.size() - done;
      if (rest) kernels.binary(op, p + done, a_as, q + done, b_as, to + done, 0, 1, rest, y.accumulates());
    }
  });
}

void Portable::reduce_sum(const Tensor& x, double scale, const Sink& to) {
  const Broadcast kind = broadcast_of(to.to, x.shape);
  with_real_type(x.type, "reduce_sum", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    const T* from = x.as<T>();
    T* out = to.to.as<T>();
    const bool add = to.accumulates();
    auto put = [&](int64_t i, double value) { out[i] = T(scale * value) + (add ? out[i] : T(0)); };
    const int64_t rows = x.shape.rows(), columns = x.shape.last();
    if (kind == Broadcast::none) {
      kernels.scale(from, T(scale), out, x.size(), add);
    } else if (kind == Broadcast::one) {
      const int64_t tasks = (x.size() + part - 1) / part;
      double* partial = static_cast<double*>(shared_scratch(size_t(tasks) * sizeof(double)));
      for_ranges(x.size(), part, [&](int64_t first, int64_t last) {
        partial[first / part] = kernels.sum(from + first, last - first);
      });
      double total = 0;
      for (int64_t i = 0; i < tasks; ++i) total += partial[i];
      put(0, total);
    } else if (kind == Broadcast::per_row) {
      for_ranges(rows, std::max<int64_t>(part / columns, 1), [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) put(r, kernels.sum(from + r * columns, columns));
      });
    } else {
      const int64_t step = std::max<int64_t>(part / columns, 1), tasks = (rows + step - 1) / step;
      T* partial = static_cast<T*>(shared_scratch(size_t(tasks * columns) * sizeof(T)));
      for_ranges(rows, step, [&](int64_t first, int64_t last) {
        kernels.column_sums(from + first * columns, last - first, columns, partial + first / step * columns);
      });
      for (int64_t c = 0; c < columns; ++c) {
        double total = 0;
        for (int64_t t = 0; t < tasks; ++t) total += double(partial[t * columns + c]);
        put(c, total);
      }
    }
  });
}

void Portable::scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) {
  with_real_type(x.type, "scale_by", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    const T* from = x.as<T>();
    T* to = y.to.as<T>();
    const T by = T(*scalar.as<double>() * factor);
    for_ranges(x.size(), part, [&](int64_t first, int64_t last) {
      kernels.scale(from + first, by, to + first, last - first, y.accumulates());
    });
  });
}

void Portable::add_to_total(const Tensor& x, double factor, const Tensor& total) {
  with_real_type(x.type, "add_to_total", [&]<class T>() {
    *total.as<double>() += factor * elementwise_kernels<T>(isa_).sum(x.as<T>(), x.size());
  });
}

void Portable::add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) {
  const int64_t columns = x.shape.last();
  for (int64_t k = 0; k < x.shape.rows(); ++k)
    add_to_total(x.part(k * columns, {columns}), factors[k], totals.part(k, {1}));
}

void Portable::copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                            int64_t count) {
  const int64_t from_columns = from.shape.last(), to_columns = to.to.shape.last();
  check(from.shape.rows() == to.to.shape.rows() && from_first >= 0 && from_first + count <= from_columns &&
            to_first >= 0 && to_first + count <= to_columns,
        "copy_columns: ", count, " columns from ", from_first, " of ", from.shape, " to ", to_first, " of ",
        to.to.shape);
  with_real_type(from.type, "copy_columns", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    const T* in = from.as<T>() + from_first;
    T* out = to.to.as<T>() + to_first;
    for_ranges(from.shape.rows(), std::max<int64_t>(part / count, 1), [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        kernels.scale(in + r * from_columns, T(1), out + r * to_columns, count, to.accumulates());
      }
    });
  });
}

void Portable::launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t, int64_t rows,
                           int64_t scratch_bytes) {
  const RowKernel::Host run = rows_kernel.host[size_t(isa_)];
  constexpr int64_t rows_per_task = 8;
  pool_.run((rows + rows_per_task - 1) / rows_per_task, [&](int64_t task, int thread) {
    const int64_t first = task * rows_per_task;
    run(kernel, first, std::min(first + rows_per_task, rows), thread_scratch(thread, size_t(scratch_bytes)));
  });
}

void Portable::sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                   double weight_decay) {
  with_real_type(w.type, "sgd", [&]<class T>() {
    const auto& kernels = elementwise_kernels<T>(isa_);
    T *weights = w.as<T>(), *velocity = v.as<T>();
    const T* gradient = g.as<T>();
    const T rate = T(*lr.as<double>());
    for_ranges(w.size(), part, [&](int64_t first, int64_t last) {
      kernels.sgd(weights + first, gradient + first, velocity + first, rate, T(momentum), T(weight_decay),
                  last - first);
    });
  });
}

}  // namespace retort
